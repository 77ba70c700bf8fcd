#!/bin/sh
# The compiler for the workspace's own crates, as fuzz/sanitize.sh has cargo call it: with the address sanitizer, which is an
# unstable flag of the stable compiler.
RUSTC_BOOTSTRAP=1 exec "$@" -Zsanitizer=address
