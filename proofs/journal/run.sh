#!/bin/sh
# Shows what becomes of a site's journal when the disk refuses one line and the process goes on.
set -eu
cd "$(dirname "$0")/../.."
out=$(mktemp -d)
cc -shared -fPIC -o "$out/shim.so" proofs/journal/shim.c -ldl
nice -n 10 cargo build --release --locked --workspace --example journal_fault
program=$(ls -t target/release/examples/journal_fault | head -n 1)
for fault in sync write; do
  echo "== $fault fails once"
  mkdir "$out/$fault"
  FAULT="$out/fault" LD_PRELOAD="$out/shim.so" "$program" "$out/$fault" "$fault" "$out/fault" || true
done
