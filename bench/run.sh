#!/bin/sh
# Measures Consilium and its peers one after another on one core, and writes bench/RESULTS.md and bench/RESULTS.json.
#
#   bench/run.sh [quick|full]     quick: d = 10^5; full, the default: d = 10^5 and 10^6
#
# CORE: the core that everything runs on, 0 unless said. REPEAT: runs of a step, 9 unless said; steps of seconds are
# run REPEAT_SLOW times, 3 unless said. PYTHON: an interpreter of version 3.11. See bench/README.md.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
out=$here/out
target=${CARGO_TARGET_DIR:-$root/target}
repeat=${REPEAT:-9}
slow=${REPEAT_SLOW:-3}

case ${1:-full} in
quick) sizes=100000 ;;
full) sizes="100000 1000000" ;;
*) echo "usage: bench/run.sh [quick|full]" >&2 && exit 2 ;;
esac

one_core() {
    if command -v taskset >/dev/null; then taskset -c "${CORE:-0}" "$@"; else "$@"; fi
}

# NumPy chooses its kernels itself: a setting made for another version would slow it.
python() {
    one_core env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE "$here/python/.venv/bin/python" "$@"
}

build() {
    (cd "$root" && cargo build --release --locked --workspace --bin consilium)
    (cd "$here/prio" && RUSTFLAGS="-C target-cpu=native" CARGO_TARGET_DIR="$here/prio/target" cargo build --release --locked)
    [ -d "$here/python/.venv" ] || "${PYTHON:-python3.11}" -m venv "$here/python/.venv"
    "$here/python/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
}

ours() {
    one_core "$target/release/consilium" bench --dimension "$1" --repeat "$repeat" --close-sites 0 --json "$2"
}

prio() {
    echo "Prio3 $1, $2 bits, d = $3" >&2
    one_core "$here/prio/target/release/prio-peers" "$1" "$2" "$3" "$slow" >"$out/peer-$3-$1-$2.json"
}

peer() {
    echo "Python $1, d = $2" >&2
    python "$here/python/peers.py" "$1" "$2" "$3" "$out/peer-$2-$1.json" >"$out/peer-$2-$1.log" 2>&1 ||
        { cat "$out/peer-$2-$1.log" >&2 && exit 1; }
}

build
rm -rf "$out"
mkdir -p "$out"
python "$here/python/environment.py" >"$out/environment.json"
for d in $sizes; do
    ours "$d" "$out/ours-$d.json"
    peer plain "$d" "$repeat"
    prio sum-vec 16 "$d"
    prio sum-vec 25 "$d"
    prio bounded-l2 16 "$d"
    peer ckks "$d" "$slow"
    peer flower "$d" "$slow"
    ours "$d" "$out/again-$d.json"
done
python "$here/python/report.py" "$out" "$here/RESULTS"
echo "written: bench/RESULTS.md and bench/RESULTS.json"
