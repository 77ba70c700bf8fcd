#!/bin/sh
# What the tests need beyond a Rust toolchain, Python 3.11 and Node 20 with npm; installs what is missing and can be.
set -eu
missing() { echo "$1 is missing: $2" >&2; exit 1; }
command -v cargo >/dev/null || missing cargo "install Rust 1.95 or newer"
command -v node >/dev/null && command -v npm >/dev/null || missing "node or npm" "install Node 20 or newer"
command -v python3 >/dev/null || missing python3 "install Python 3.11 or newer"
command -v c++ >/dev/null || missing c++ "install a C++ compiler, which the fuzz targets are linked with"
command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
