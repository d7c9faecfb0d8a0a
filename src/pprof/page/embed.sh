#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the C that holds the page's files (src/pprof/http/asset.h): scripts and styles as gzip
# files, and the viewer's HTML as text for the index to end in.
#
#     src/pprof/page/embed.sh FILE...
#
# On the way lines lose their indentation, and lines that are nothing but a comment are left out: no
# string of ours spans lines. The same files give the same bytes.
set -eu
export LC_ALL=C

strip() {
    sed -E 's/^[ \t]+//; /^\/\/( |$)/d; /^\/\*.*\*\/$/d; /^\/\*/,/\*\/$/d; /^$/d' "$1"
}

bytes() {
    od -An -v -tu1 | sed -E 's/ +/,/g; s/^,//; s/$/,/'
}

content_type() {
    case $1 in
    *.mjs) echo 'text/javascript; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *)
        echo "embed.sh: $1: what is its type? Fix: add it to content_type" >&2
        exit 1
        ;;
    esac
}

rows=
echo '#include "pprof/http/asset.h"'
for file in "$@"; do
    name=$(basename "$file")
    id=$(echo "$name" | tr -c 'a-z0-9\n' _)
    if [ "${name##*.}" = html ]; then
        echo "static const unsigned char ${id}[] = {"
        strip "$file" | bytes
        echo "};"
        echo "const struct bytes asset_viewer = {$id, sizeof $id};"
        continue
    fi
    type=$(content_type "$name")
    etag=$(strip "$file" | sha256sum | cut -c 1-16)
    echo "static const unsigned char ${id}[] = {"
    strip "$file" | gzip -9n | bytes
    echo "};"
    rows="$rows    {\"page/$name\", \"$type\", \"\\\"$etag\\\"\", {$id, sizeof $id}},
"
done
echo "const struct asset assets[] = {"
printf '%s' "$rows"
echo "};"
echo "const size_t asset_count = sizeof assets / sizeof assets[0];"
