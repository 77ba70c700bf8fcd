#!/bin/sh
# fuzz/sanitize.sh: core's tests under the address sanitizer, above all those of its one unsafe module, crates/core/src/simd.
# Arguments go to the test programs: a filter, for example.
set -eu
cd "$(dirname "$0")/.."
export RUSTC_WORKSPACE_WRAPPER="$PWD/fuzz/rustc-sanitized.sh" ASAN_OPTIONS=detect_leaks=0
cargo test --release --locked --quiet -p consilium-core --lib --tests -- "$@"
