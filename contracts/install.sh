#!/bin/sh
# The contracts' tools (npm), as package-lock.json has them; nothing to do if they are there.
cd "$(dirname "$0")" || exit 1
cmp -s package-lock.json node_modules/.installed-lock && exit 0
# Not `npm ci`: it demands lock entries for the tools' builds of every platform, and registries have not all of them.
# --no-save keeps to the locked versions and leaves the lock alone.
npm install --no-save --no-audit --no-fund --loglevel=error || exit 1
cp package-lock.json node_modules/.installed-lock
