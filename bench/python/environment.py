"""What a result depends on besides the code: prints it as JSON, taken at the start of a run."""

import datetime
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy  # noqa: F401  loads the library that threadpoolctl reports on
import threadpoolctl

ROOT = Path(__file__).resolve().parents[2]


def said(*command: str) -> str:
    """The first line that a command prints."""
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")[0]


def memory_gib() -> float:
    """Physical memory."""
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)


def kernels() -> str:
    """The kernels that NumPy's linear algebra chose for this processor."""
    return ", ".join(f"{lib['internal_api']} {lib['architecture']}" for lib in threadpoolctl.threadpool_info())


def commit() -> str:
    """The commit that is measured, and whether anything that is built differs from it."""
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "crates", "Cargo.lock"], cwd=ROOT, check=False)
    return said("git", "rev-parse", "--short", "HEAD") + (" with changes" if changed.returncode else "")


if __name__ == "__main__":
    facts = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gib": memory_gib(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "niceness": os.nice(0),
        "rustc": said("rustc", "--version"),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("flwr", "tenseal", "numpy")},
        "numpy_kernels": kernels(),
    }
    print(json.dumps(facts, indent=2))
