#!/bin/sh
# Core's tests, with its loops for NEON, on a machine that is not an ARM: cross-compiled and run by qemu's user-mode emulator.
# Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
# Rust:   rustup target add aarch64-unknown-linux-gnu (or Debian's libstd-rust-dev:arm64)
# Arguments go to cargo test, as in: crates/core/emulated.sh --lib simd
set -eu
cd "$(dirname "$0")/../.."
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
exec cargo test --release --target aarch64-unknown-linux-gnu -p consilium-core "$@"
