#!/usr/bin/env python3
"""Does any branch or address depend on a secret, where the core says that none does?

The example `constant_time` does a step of the protocol with its secrets marked undefined, and valgrind's memcheck reports
each jump and each address that depends on undefined memory. A report in a function that is not allowed below fails.
Each permission says in how many lines of the function, in which steps, and why what it tells is public or never happens.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORE = ROOT / "crates/core"
REPORT = ROOT / "target/memcheck.xml"
# Lines and inlined functions of the core are needed to name a place; the rest is what everything else uses.
LINES = 'profile.release.package.consilium-core.debug="line-tables-only"'
BUILD = ["cargo", "build", "--release", "--locked", "--workspace", "--example", "constant_time", "--config", LINES]
MEMCHECK = ["valgrind", "--tool=memcheck", "--quiet", "--error-limit=no", "--num-callers=80", "--xml=yes", f"--xml-file={REPORT}"]

STEPS = ["encode", "ballot", "seeds", "witness", "ballot-witness", "prove", "ballot-prove", "seal", "verify", "ballot-verify"]
PROVE, BALLOT = ["witness", "prove"], ["ballot-witness", "ballot-prove"]
MASKED = ["prove", "ballot-prove", "verify", "ballot-verify"]
ERROR = "an input that is out of range ends in an error"
WORD = "a word of a stream that is not below p, one in 2^32, is skipped whatever is masked with the next one"
VERDICT = "the verdict is public"
ALLOWED = {
    "src/encode.rs: square_norm": (1, ["encode"], ERROR),
    "src/encode.rs: norm": (1, ["encode"], ERROR),
    "src/encode.rs: encode_on": (1, ["encode"], ERROR),
    "src/encode/rounding.rs: draw": (1, ["encode"], "a rounding is over the norm's bound, and discarded, with a chance below e^-40"),
    "src/encode.rs: encode_choice": (1, ["ballot"], ERROR),
    "src/program/weighted_mean.rs: witness_of": (2, PROVE, ERROR + "; a row is out of range, and the seeds are discarded, once in 2^57"),
    "src/program/weighted_mean.rs: slack": (2, PROVE, ERROR),
    "src/program/one_hot.rs: witness_of": (1, BALLOT, ERROR),
    "src/program/rows.rs: add_group": (2, ["prove"], "look-ups by the matrix, a hash of what is published; `witness` has none of these reports"),
    "src/prove.rs: fit": (9, ["prove", "ballot-prove"], "evaluations of V at 1..2t, which its published coefficients give"),
    "src/simd/canonical.rs: surely_canonical": (1, MASKED, WORD),
    "src/stream.rs: fill_canonical": (1, MASKED, WORD),
    "src/verify.rs: held": (1, ["verify", "ballot-verify"], "whether a seed matches its commitment, or is missing: " + VERDICT),
    "src/verify.rs: finish": (1, ["verify", "ballot-verify"], VERDICT),
}


def program():
    """The path of the example, built if it is not."""
    built = subprocess.run([*BUILD, "--message-format", "json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in built.splitlines()]
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == "constant_time" and m.get("executable"))


def function(path, line):
    """The function in whose source a line is. Reports name functions too, but not always those that were inlined."""
    names = (re.match(r"\s*(?:pub(?:\([a-z]+\))? )?(?:const )?(?:unsafe )?fn (\w+)", text) for text in path.read_text().splitlines()[:line])
    return [name.group(1) for name in names if name][-1]


def place(error):
    """The function of the core in which a branch or an address depends on a secret, with its file, and the line. The field's
    arithmetic is inlined everywhere: there it is the function that calculates."""
    frames = [{part.tag: part.text for part in frame} for frame in error.find("stack")]
    lines = [(ROOT / frame.get("dir", "") / frame["file"], int(frame["line"])) for frame in frames if "line" in frame]
    core = [(path, line) for path, line in lines if CORE in path.parents and path.exists()]
    for path, line in [at for at in core if at[0].name != "field.rs"] or core:
        return f"{path.relative_to(CORE)}: {function(path, line)}", line
    return frames[0].get("fn", "?"), 0


def reports(example, step, path):
    """What memcheck says of a step: by place, its lines with the kinds of report; None if the processor does not have the path."""
    done = subprocess.run([*MEMCHECK, example, step, path], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"constant time: {step} on the path {path} failed:\n{done.stderr}")
    if done.stdout.split()[0] != path:
        return None
    found = {}
    for error in xml.parse(REPORT).getroot().findall("error"):
        at, line = place(error)
        found.setdefault(at, {}).setdefault(line, set()).add(error.findtext("kind"))
    return found


def is_allowed(step, at, lines):
    """Whether reports in these lines of a function are all that its permission is for."""
    most, steps, _ = ALLOWED.get(at, (0, [], ""))
    return step in steps and len(lines) <= most


def main():
    if not shutil.which("valgrind"):
        return print("constant time: SKIPPED, no valgrind here: install it (apt-get install valgrind)")
    example, failed = program(), False
    for path in ["avx2", "portable"]:
        leaks = reports(example, "leak", path)
        if leaks is None:
            print(f"constant time: SKIPPED for {path}, which this processor does not have")
            continue
        kinds = {kind for lines in leaks.values() for kinds in lines.values() for kind in kinds}
        if not {"UninitCondition", "UninitValue"} <= kinds:
            sys.exit(f"constant time: memcheck sees neither branch nor address in a step that has both: {leaks}")
        for step in STEPS:
            found = reports(example, step, path)
            new = {at: lines for at, lines in found.items() if not is_allowed(step, at, lines)}
            failed |= bool(new)
            print(f"constant time: {path:8} {step:14} {len(found) - len(new)} allowed, {len(new)} not")
            for at, lines in new.items():
                print(f"  {at}: " + ", ".join(f"line {line} ({' and '.join(sorted(kinds))})" for line, kinds in lines.items()))
    if failed:
        sys.exit("constant time: a branch or an address depends on a secret: compute it without, or say in .ci/constant-time.py why it is none")


main()
