#!/bin/sh
# Runs one target for fuzz/run.sh, which sets the environment, and prints one line about it.
set -eu
target=$1
found=work/$target
log=work/$target.log
mkdir -p "$found" "failed/$target"

# New inputs go to the first folder; the second is the committed corpus, which is only read. No input may take ten seconds
# or a gibibyte, nor ask for a quarter of it at once. Leaks are of no interest: the process ends.
status=0
FUZZ_TARGET=$target ASAN_OPTIONS=detect_leaks=0 "$FUZZER" "$found" "corpus/$target" -max_total_time="$SECONDS_EACH" \
  -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=1 -artifact_prefix="failed/$target/" \
  >"$log" 2>&1 || status=$?

number() { sed -n "s/^stat::$1: *//p" "$log" | tail -n 1; }
edges() { sed -n "s/.*$1 .*cov: \([0-9]*\).*/\1/p" "$log" | tail -n 1; }
first=$(edges INITED) last=$(edges '')
executions=$(number number_of_executed_units)
line=$(printf '%-14s %9s executions, %5s edges at the start, %s new:' \
  "$target" "${executions:-no}" "${first:-0}" "$((${last:-0} - ${first:-0}))")
if [ "$status" -eq 0 ]; then
  echo "$line passed"
  rmdir "failed/$target" 2>/dev/null || true
else
  why=$(grep -m 5 -A 2 -E 'panicked at|ERROR: ' "$log" || tail -n 5 "$log")
  printf '%s FAILED, with fuzz/%s\n%s\n' "$line" "$(ls -t "failed/$target"/* 2>/dev/null | head -n 1)" "$why"
  exit 1
fi
