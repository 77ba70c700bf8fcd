#!/bin/sh
# fuzz/run.sh SECONDS [TARGET...]: builds the fuzz targets once, with the address sanitizer, and runs each of them (or those
# that are named) for that many seconds, starting from its corpus. One line a target; exit code 1 if one failed, and then the
# input that did it is in fuzz/failed/TARGET. See fuzz/README.md.
#
# FUZZ_JOBS: how many targets run at a time; as many as there are cores unless said otherwise.
set -eu
cd "$(dirname "$0")/.."
SECONDS_EACH=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
case $(rustc -vV) in
*-linux-gnu*) ;;
*) echo "the fuzz targets are built for Linux with glibc; use a machine or a container that has it" >&2; exit 2 ;;
esac
command -v c++ >/dev/null || { echo "c++ is missing: install a C++ compiler, which libFuzzer is built with" >&2; exit 2; }

# The wrapper changes how the workspace's own crates are compiled, and nothing else: dependencies are those of the tests.
RUSTC_WORKSPACE_WRAPPER=$PWD/fuzz/rustc.sh cargo build --release --locked --quiet --workspace --bin consilium-fuzz
FUZZER=$(realpath "${CARGO_TARGET_DIR:-target}")/release/consilium-fuzz
export FUZZER SECONDS_EACH

cd fuzz
[ $# -gt 0 ] || set -- $(ls corpus)
printf '%s\n' "$@" | xargs -P "${FUZZ_JOBS:-$(nproc)}" -n 1 ./one.sh || exit 1
