#!/bin/sh
# The symbolic checks of test/symbolic/, each of which says for which bounds it holds. Needs Python 3.11 or later.
# Not among them, since no solver answered within two minutes: that a round's pay is conserved (two divisions, even with
# twelve bits), and which values lie on a polynomial (products modulo p). The tests draw those by chance.
set -e
cd "$(dirname "$0")/.."
sh ./install.sh
tools=cache/halmos
version=0.3.3
[ -x "$tools/bin/halmos" ] || {
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "halmos==$version"
  # This version counts the bits of what is hashed by SHA-256 as if they were bytes.
  sed -i 's/BitVecSorts\[arg_size\], BitVecSort256/BitVecSorts[arg_size * 8], BitVecSort256/' \
    "$tools"/lib/python3*/site-packages/halmos/sevm.py
}
# It builds by itself, with the forge that it finds, and checks whatever artefacts lie there, earlier ones too.
rm -rf out/symbolic cache/symbolic
PATH="$PWD/node_modules/.bin:$PATH" FOUNDRY_PROFILE=symbolic \
  "$tools/bin/halmos" --forge-build-out out/symbolic --loop 64 --solver-timeout-assertion 120s
