#!/bin/sh
# Everything that is tested about the contracts. Installs what it needs; the last line is `N passed, N failed`.
# After a wanted change: forge fmt; forge test (rewrites snapshots/); node tools/export.mjs; node tools/digests.mjs.
cd "$(dirname "$0")" || exit 1
forge=node_modules/.bin/forge
log=$(mktemp -d) || exit 1
trap 'rm -rf "$log"' EXIT
passed=0
failed=0

# check WORDS COMMAND...: one test, silent while it passes. What it printed is in $log/check.
check() {
  words=$1
  shift
  if "$@" >"$log/check" 2>&1; then
    passed=$((passed + 1))
    echo "ok   $words"
  else
    failed=$((failed + 1))
    echo "FAIL $words"
    cat "$log/check"
  fi
}

sh ./install.sh || exit 1

# A compilation of its own, beside those of forge: the compiler keeps one core busy.
node tools/export.mjs --check >"$log/export" 2>&1 &
exporting=$!
exported() {
  wait "$exporting"
  code=$?
  cat "$log/export"
  return "$code"
}

check "sources are formatted (forge fmt)" $forge fmt --check
check "sources compile without warnings (forge build)" $forge build --deny warnings
check "gas is as committed (snapshots/)" \
  sh -c "FORGE_SNAPSHOT_CHECK=true $forge test --match-path test/Gas.t.sol"
$forge test --no-match-path test/Gas.t.sol --json 2>"$log/errors" >"$log/tests.json"
if node tools/report.mjs <"$log/tests.json" >"$log/report" 2>>"$log/errors"; then
  sed '$d' "$log/report"
  set -- $(tail -n 1 "$log/report")
  passed=$((passed + $1))
  failed=$((failed + $3))
else
  failed=$((failed + 1))
  echo "FAIL forge test gave no results"
  cat "$log/errors"
fi
check "handlers of the invariants call every function of the contracts" node tools/calls.mjs
cat "$log/check"
check "interfaces say what each parameter and result means" node tools/natspec.mjs
check "crates/ledger/abi is what the sources compile to" exported
check "EIP-712 vectors are what viem computes" node tools/digests.mjs --check

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
