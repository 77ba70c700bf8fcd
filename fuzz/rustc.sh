#!/bin/sh
# The compiler for the workspace's own crates, as fuzz/run.sh has cargo call it: with the address sanitizer, libFuzzer's
# coverage and debug assertions, and quick to build. Dependencies are the ones that the tests were built with. Coverage and
# sanitizer are unstable flags of the stable compiler, which brings the sanitizer's runtime library with it. Cargo does not
# notice a change of this file: `cargo clean -p` what was built with it.
RUSTC_BOOTSTRAP=1 exec "$@" -Zsanitizer=address -Copt-level=1 -Cdebug-assertions=on -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
