#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the folder of Playwright's core, and brings it into the cache if it is not there yet: the
# version and the checksum are those of package-lock.json. The browser is Debian's.
#
#     [CACHE=folder] tests/page/tools.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/extproc-build}
version=$(sed -n 's/.*"playwright-core": "\(.*\)".*/\1/p' "$here/package.json")
folder=$CACHE/tools/playwright-$version
if [ ! -e "$folder" ]; then
    echo "  playwright-core $version: fetching (npm)" >&2
    "$here/../../image/tools.sh" need npm >&2
    mkdir -p "$CACHE/tools"
    work=$(mktemp -d "$CACHE/tools/.new.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cp "$here/package.json" "$here/package-lock.json" "$work"
    (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund) > "$work/log" 2>&1 < /dev/null || {
        cat "$work/log" >&2
        exit 1
    }
    # Two that fetch at the same time: the first one counts.
    mv -nT "$work" "$folder"
fi
echo "$folder/node_modules/playwright-core"
