#!/bin/sh
# Cargo with core's loops for instruction sets that this machine lacks: what it builds runs in an emulator.
#
#   crates/core/emulated/cargo.sh neon|avx512 COMMAND ARGUMENTS
#   crates/core/emulated/cargo.sh avx512 test -p consilium-core --lib simd
#
# neon, by qemu's user-mode emulator. Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user; and
# rustup target add aarch64-unknown-linux-gnu (or Debian's libstd-rust-dev:arm64).
# avx512, in a whole machine, as the user-mode emulators have no AVX-512: see bochs.sh beside this.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}
[ $# -ge 2 ] || usage
set=$1 command=$2
shift 2
case $set in
neon)
    target=aarch64-unknown-linux-gnu
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
    export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
    ;;
avx512)
    target=x86_64-unknown-linux-gnu
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$here/bochs.sh"
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
    export RUSTDOCFLAGS="-C target-feature=+crt-static"
    ;;
*) usage ;;
esac
exec cargo "$command" --release --locked --target "$target" "$@"
