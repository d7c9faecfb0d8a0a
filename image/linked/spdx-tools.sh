#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings SPDX's Python tools, those of their packages that reading JSON needs, and prints the folder
# to look for them in.
#
#     CACHE=folder [TARBALLS=folder] image/linked/spdx-tools.sh
set -eu
image=$(cd "$(dirname "$0")/.." && pwd)
names="spdx-tools beartype boolean.py license-expression uritools"

# files: of the wheels, by the lock.
files() {
    for name in $names; do
        awk -v name="$name" '$1 == name { print $3 }' "$image/dependencies.lock"
    done
}

folder=$CACHE/spdx-tools-$(files | sha256sum | cut -c 1-16)
if [ ! -d "$folder" ]; then
    # shellcheck disable=SC2086  # a list of words
    "$image/fetch.sh" $names >&2
    rm -rf "$folder.new"
    for file in $(files); do python3 -m zipfile -e "$CACHE/sources/$file" "$folder.new"; done
    mv "$folder.new" "$folder"
fi
echo "$folder"
