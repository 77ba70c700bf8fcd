"""Peers of `consilium bench` that are Python packages: writes rows as JSON. See ../README.md."""

import argparse
import importlib
import json
import os
import resource
import sys
from pathlib import Path

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
PEERS = {"plain": "plain", "ckks": "ckks", "flower": "flower"}


def main() -> None:
    """Measure one peer at one size, so that the process's peak memory is that peer's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("dimension", type=int)
    parser.add_argument("repeat", type=int)
    parser.add_argument("file", type=Path, help="where the rows go, since libraries print on their own")
    given = parser.parse_args()
    measured = importlib.import_module(PEERS[given.peer]).rows(given.dimension, given.repeat)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    for one in measured:
        one["memory_bytes"] = memory
    given.file.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
