"""Writes RESULTS.md and RESULTS.json from the figures of one run. Nothing in them is typed by hand."""

import json
import sys
from math import comb
from pathlib import Path

GROUPS = {
    "prove": "A site makes its contribution",
    "verify": "One contribution is taken in",
    "unmask": "The sum is opened",
}
OURS = {
    "prove": "site quantises, masks, proves and seals",
    "verify": "node verifies one contribution",
    "unmask": "2t+1 shares are unmasked and checked, any number of sites",
}
# `consilium bench` measures the program `weighted-mean` with these.
SCALE_BITS, WEIGHT_BITS, TESTS = 25, 8, 128


def upload(d: int, n: int, t: int) -> int:
    """Bytes of one contribution by docs/PROTOCOL.md, sections 4 and 7.10."""
    witness = TESTS * (SCALE_BITS + 4) + 2 * SCALE_BITS + 1 + WEIGHT_BITS
    box = 1120 + 16 + 32 * comb(n - 1, t)
    header = 1 + 8 + 8 + 20 + 32 + 32 * comb(n, t) + 8 * witness + 16 * 2 * t + n * (4 + box) + 65
    return 4 + header + 8 * d


def ours_as_rows(report: dict) -> list[dict]:
    """The rows of `consilium bench` in the form of the peers'."""
    rows = []
    for row in report["rows"]:
        if row["name"] in OURS:
            peer = f"**Consilium**, n = {row['n']}, t = {row['t']}"
            size = upload(row["d"], row["n"], row["t"]) if row["name"] == "prove" else None
            common = {"d": row["d"], "median_ms": row["median_ms"], "spread_ms": row["spread_ms"]}
            step = {"step": OURS[row["name"]], "beside": row["name"]}
            rows.append({"peer": peer, "bytes": size, "memory_bytes": None, **step, **common})
    return rows


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def spread(row: dict) -> str:
    """From the first to the third quartile, where there were runs to tell."""
    return "one figure" if row.get("runs") == 1 else number(row["spread_ms"])


def megabytes(size: int | None) -> str:
    """Millions of bytes."""
    return "" if size is None else f"{size / 1e6:,.2f}"


def table(rows: list[dict], ours: dict) -> list[str]:
    """One kind of work at one size, ours first."""
    lines = ["| who | step | median ms | spread ms | of ours | upload MB |", "|---|---|---:|---:|---:|---:|"]
    for row in rows:
        ratio = number(row["median_ms"] / ours["median_ms"])
        cells = [row["peer"], row["step"], number(row["median_ms"]), spread(row), ratio, megabytes(row["bytes"])]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def drift(first: list[dict], again: list[dict]) -> str:
    """How much our own steps changed between the start and the end of the peers."""
    parts = [f"{a['beside']} {number(b['median_ms'] / a['median_ms'])}" for a, b in zip(first, again, strict=True)]
    return "Consilium measured once more after the peers, as a multiple of the first time: " + ", ".join(parts) + "."


def memory(peers: list[dict]) -> list[str]:
    """The largest memory of each process that played all of a peer's parties."""
    largest: dict[str, int] = {}
    for row in peers:
        name = row["peer"].split(", ")[0] + (f", {row['peer'].split(', ')[2]}" if "Prio3" in row["peer"] else "")
        largest[name] = max(largest.get(name, 0), row["memory_bytes"] or 0)
    return ["Peak memory of the process that plays all parties: " + "; ".join(
        f"{name} {size / 2**20:,.0f} MiB" for name, size in largest.items()
    ) + "."]


def section(d: int, out: Path) -> tuple[list[str], dict]:
    """Everything at one size, as text and as data."""
    first, again = (ours_as_rows(json.loads((out / f"{name}-{d}.json").read_text())) for name in ("ours", "again"))
    peers = [row for file in sorted(out.glob(f"peer-{d}-*.json")) for row in json.loads(file.read_text())]
    lines = [f"## d = {d:,}", ""]
    for kind, title in GROUPS.items():
        ours = next(row for row in first if row["beside"] == kind)
        beside = [row for row in peers if row["beside"] == kind]
        lines += [f"### {title}", "", *table([ours, *beside], ours), ""]
    lines += [drift(first, again), "", *memory(peers), ""]
    return lines, {"ours": first, "ours_again": again, "peers": peers}


def heading(facts: dict, machine: dict) -> list[str]:
    """Where and how the figures came about."""
    load, packages = facts["load"], ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
    return [
        "# Results",
        "",
        "Written by `bench/run.sh`; [README.md](README.md) says what is compared and what is not the same.",
        "",
        "| | |",
        "|---|---|",
        f"| machine | {machine['machine'].rsplit(',', 1)[0]}, {facts['cores']} cores, one used; {facts['memory_gib']} GiB, {facts['system']} |",
        f"| features that Consilium uses | {' '.join(machine['features'])} |",
        f"| date, commit | {facts['date']}, {facts['commit']} |",
        f"| compiler | {facts['rustc']}; Consilium: the repository's release profile, no further flags; Prio3: "
        "`-C target-cpu=native`, one codegen unit, fat LTO |",
        f"| Python | {facts['python']}, {packages}; NumPy's kernels: {facts['numpy_kernels']} |",
        f"| noise | load average at the start {load[0]}, {load[1]}, {load[2]}; niceness {facts['niceness']}; "
        "spread is from the first to the third quartile |",
        "",
        "One process at a time, pinned to one core where `taskset` is there. A load average above 0 at the start means"
        " that others used the machine: compare the ratios, and those of more than a factor or so, not the digits.",
        "",
    ]


def main(out: Path, results: str) -> None:
    """Put all sizes that were measured into one report."""
    facts = json.loads((out / "environment.json").read_text())
    sizes = sorted(int(file.stem.split("-")[1]) for file in out.glob("ours-*.json"))
    machine = json.loads((out / f"ours-{sizes[0]}.json").read_text())
    lines, data = heading(facts, machine), {"environment": facts, "machine": machine["machine"], "sizes": {}}
    for d in sizes:
        text, data["sizes"][str(d)] = section(d, out)
        lines += text
    Path(f"{results}.md").write_text("\n".join(lines).rstrip() + "\n")
    Path(f"{results}.json").write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
