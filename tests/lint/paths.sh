#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Nothing of the machine that this was written or built on may be in the tree, or in the program.
#
#     tests/lint/paths.sh PROGRAM FOLDER...    the FOLDERs are those that the program was built in and from
set -u
program=$1
shift
bad=0

# Absolute paths of somebody's home or scratch folder, and hosts of package registries: the machine's own configuration
# knows the hosts. (The patterns are written so that they don't find themselves.)
found=$(git grep --untracked -nIE -e '(^|[^A-Za-z0-9_.$}/-])/(home|root|work|Users)/[A-Za-z0-9_.]' \
    -e '(deb|security|snapshot)[.]debian[.]org|pypi[.]org|pythonhosted[.]org|registry[.]npmjs|(proxy|sum)[.]golang[.]org')
if [ -n "$found" ]; then
    echo "$found" | cut -c 1-200
    echo "   ^ paths: a path of one machine, or the host of a registry. Fix: take it from an argument, or from the machine"
    bad=1
fi

plain=$(mktemp)
trap 'rm -f "$plain"' EXIT
objcopy --decompress-debug-sections "$program" "$plain"
for folder in "$@"; do
    found=$(strings -a "$plain" | grep -F -- "$folder/" | head -n 3)
    [ -z "$found" ] && continue
    echo "$program:1: paths: it names a folder of this machine: $found. Fix: -ffile-prefix-map (Makefile, image/package.sh)"
    bad=1
done
exit "$bad"
