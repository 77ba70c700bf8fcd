#!/usr/bin/env python3
"""How many instructions the steps of the protocol take, compared with what they took when last looked at.

Valgrind counts them, so that the machine's load does not matter; the difference between a step done three times and
once is what it takes, without the preparation. Valgrind shows programs a processor without SHA extensions and AVX-512,
and with AVX2 if there is one. A step that takes more than the tolerance over the committed number fails. After a
change that is meant, and is worth it, or after a new compiler: `.ci/instructions.py --write`.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMITTED = ROOT / "crates/core/benches/instructions.json"
BUILD = ["cargo", "build", "--release", "--locked", "--workspace", "--example", "once", "--message-format", "json"]
STEPS = ["contribute", "prove", "verify", "release", "unmask"]
# Another compiler, or the same one with other units of code, moves numbers by a few percent.
TOLERANCE = 0.08


def program():
    """The path of the example, built if it is not."""
    built = subprocess.run(BUILD, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in built.splitlines()]
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == "once" and m.get("executable"))


def run(once, step, times, path):
    """Instructions of a whole run, and the instruction set that it used."""
    count = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + str(ROOT / "target/callgrind.out")]
    done = subprocess.run([*count, once, step, str(times), path], capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"valgrind could not count {step}:\n{done.stderr}")
    return int(found.group(1)), done.stdout.strip()


def counted(once, path):
    """The instructions of each step on one path of the code; None if the processor does not have it."""
    counts = {}
    for step in STEPS:
        (one, features), (three, _) = (run(once, step, times, path) for times in (1, 3))
        if features != path:
            return None
        counts[step] = (three - one) // 2
    return counts


def main():
    if not shutil.which("valgrind"):
        return print("instructions: SKIPPED, no valgrind here: install it (apt-get install valgrind)")
    committed = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}
    (ROOT / "target").mkdir(exist_ok=True)
    once, failed = program(), False
    for path in ["avx2", "portable"]:
        counts = counted(once, path)
        if counts is None:
            print(f"instructions: SKIPPED for {path}, which this processor does not have")
            continue
        for step, count in counts.items():
            before = committed.get(path, {}).get(step, count)
            change = count / before - 1
            print(f"instructions: {path:8} {step:10} {count:>11,} ({change:+.1%})")
            failed |= change > TOLERANCE and "--write" not in sys.argv
        committed[path] = counts
    if "--write" in sys.argv:
        COMMITTED.write_text(json.dumps(committed, indent=2) + "\n")
    elif failed:
        sys.exit(f"instructions: more than {TOLERANCE:.0%} over {COMMITTED.relative_to(ROOT)}: make it cheaper, or see .ci/instructions.py")


main()
