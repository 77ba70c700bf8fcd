#!/usr/bin/env python3
"""Holds every dependency to deny.toml: licences, banned crates, sources. `cargo deny check` reads the same file and also
knows advisories; this check needs nothing installed and no network."""
import json, re, subprocess, sys, tomllib

policy = tomllib.load(open("deny.toml", "rb"))
allowed = set(policy["licenses"]["allow"])
banned = {entry["crate"] for entry in policy["bans"]["deny"]}
meta = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"]))
used = {node["id"] for node in meta["resolve"]["nodes"]}
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def satisfied(expression):
    """SPDX: OR binds weaker than AND; `/` is an old way to write OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def disjunction():
        value = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = conjunction() or value
        return value

    def conjunction():
        value = atom()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = atom() and value
        return value

    def atom():
        token = tokens.pop(0)
        if token == "(":
            value = disjunction()
            tokens.pop(0)
            return value
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
        return token in allowed

    return disjunction()


failures, checked = [], 0
for package in meta["packages"]:
    if package["id"] not in used:
        continue
    checked += 1
    name = f"{package['name']} {package['version']}"
    if package["source"] not in (None, REGISTRY):
        failures.append(f"{name} comes from {package['source']}, only the registry is allowed")
    if not satisfied(package["license"] or "none"):
        failures.append(f"{name} has licence {package['license']!r}, which deny.toml does not allow")
    if package["name"] in banned:
        failures.append(f"{name} is banned by deny.toml")
for failure in failures:
    print("FAIL", failure)
print(f"{checked - len(failures)} passed, {len(failures)} failed")
sys.exit(bool(failures))
