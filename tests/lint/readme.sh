#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The README's table of settings is what the program prints of itself.
#
#     tests/lint/readme.sh PROGRAM README [write]
set -eu
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
"$1" --help-markdown > "$fresh.table"
awk -v table="$fresh.table" '
    /^<!-- settings/ { print; while ((getline line < table) > 0) print line; skipping = 1; next }
    /^<!-- \/settings/ { skipping = 0 }
    !skipping { print }' "$2" > "$fresh"
rm -f "$fresh.table"
if [ "${3:-}" = write ]; then
    cat "$fresh" > "$2"
elif ! cmp -s "$fresh" "$2"; then
    echo "$2:1: readme: the table of settings is not what $1 --help-markdown prints. Fix: make readme"
    exit 1
fi
