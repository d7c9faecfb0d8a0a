#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Nothing of the machine that this was written or built on may be in the tree, or in the program.
#
#     tests/lint/paths.sh PROGRAM FOLDER...    the FOLDERs are those that the program was built in and from
set -u
program=$1
shift
bad=0

# Absolute paths of somebody's home or scratch folder. (The pattern doesn't find itself.)
found=$(git grep --untracked -nIE '(^|[^A-Za-z0-9_.$}/-])/(home|root|work|Users)/[A-Za-z0-9_.]')
if [ -n "$found" ]; then
    echo "$found" | cut -c 1-200
    echo "   ^ paths: a path of one machine. Fix: take it from an argument, or from the machine"
    bad=1
fi

# What builds and fetches names no host but this one: the machine's own configuration knows the
# mirrors of its package registries.
found=$(git grep --untracked -nIE '(https?|ftp|git)://' -- Makefile .ci '*.mk' '*.sh' '*.lock' 'image/*' |
    grep -vE '://(127\.0\.0\.1|localhost|\[::1\]|/|\$)')
if [ -n "$found" ]; then
    echo "$found" | cut -c 1-200
    echo "   ^ paths: a host. Fix: ask a registry's client by the package's name"
    bad=1
fi

plain=$(mktemp)
trap 'rm -f "$plain"' EXIT
"${CROSS:-}objcopy" --decompress-debug-sections "$program" "$plain"
for folder in "$@"; do
    found=$(strings -a "$plain" | grep -F -- "$folder" | head -n 3)
    [ -z "$found" ] && continue
    echo "$program:1: paths: it names a folder of this machine: $found." \
        "Fix: -ffile-prefix-map in Makefile or image/package.sh"
    bad=1
done
exit "$bad"
