#!/usr/bin/env python3
"""Checks the direction of dependencies between the workspace's crates, and that core stays pure.

core <- ledger <- {node, site, audit} <- cli; node and site never see each other; core's tree has no async runtime, HTTP
stack or RPC client; chain is known to cli only. Development dependencies do not count.
"""
import json, subprocess, sys

ALLOWED = {
    "consilium-core": set(),
    "consilium-chain": set(),
    "consilium-training": set(),
    "consilium-ledger": {"consilium-core"},
    "consilium-node": {"consilium-core", "consilium-ledger"},
    "consilium-site": {"consilium-core", "consilium-ledger"},
    "consilium-audit": {"consilium-core", "consilium-ledger"},
    "consilium-simulator": {"consilium-core", "consilium-ledger", "consilium-chain"},
    "consilium-model": {"consilium-core"},
    "consilium": {"consilium-core", "consilium-chain", "consilium-ledger", "consilium-node", "consilium-site",
                  "consilium-audit", "consilium-training"},
    # Whatever has a decoder; no crate depends on it.
    "consilium-fuzz": {"consilium-core", "consilium-chain", "consilium-ledger", "consilium-site", "consilium-training"},
}
IMPURE = {"tokio", "async-std", "smol", "hyper", "reqwest", "axum", "alloy", "alloy-provider", "alloy-transport", "mio",
          "redb", "object_store"}

meta = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"]))
packages = {p["id"]: p for p in meta["packages"]}
nodes = {n["id"]: n for n in meta["resolve"]["nodes"]}
members = {packages[i]["name"]: i for i in meta["workspace_members"]}
failures = []


def normal(package_id):
    for dep in nodes[package_id]["deps"]:
        if any(kind["kind"] is None for kind in dep["dep_kinds"]):
            yield dep["pkg"]


for name, package_id in members.items():
    if name not in ALLOWED:
        failures.append(f"{name} is not in the list of {__file__}: say what it may depend on")
        continue
    found = {packages[d]["name"] for d in normal(package_id)} & set(members)
    if extra := found - ALLOWED[name]:
        failures.append(f"{name} must not depend on {', '.join(sorted(extra))}")

# Features are unified over the workspace in `metadata`, so core's own tree is asked for by itself.
tree = subprocess.check_output(
    ["cargo", "tree", "--locked", "-p", "consilium-core", "-e", "normal", "--prefix", "none", "--format", "{p}"], text=True)
core = {line.split()[0] for line in tree.splitlines() if line.strip()}
if bad := core & IMPURE:
    failures.append(f"consilium-core must stay pure, but its tree has {', '.join(sorted(bad))}")

for failure in failures:
    print("FAIL", failure)
print(f"{len(members) + 1 - len(failures)} passed, {len(failures)} failed")
sys.exit(bool(failures))
