#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Is it the same image wherever and whenever it is built? Builds it from this tree twice: here and
# now, and in another folder at another time, in another time zone, with another locale, home, mask
# and number of jobs. Prints the digests of all that comes out, and fails if any differ.
#
#     CACHE=folder [FRESH=1] image/verify.sh WORK [MAKE ARGUMENTS...]
#
# The third-party libraries of both are those in CACHE, keyed by what goes into them; with FRESH=1
# the second build makes its own from the same tarballs, under the other clock. What differs stays
# in WORK, what doesn't is removed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
started=$(date +%s)
rm -rf "$work/here" "$work/elsewhere"

# copy FOLDER: this tree as it is, what is not committed too.
copy() {
    mkdir -p "$(dirname "$1")"
    git clone -q --no-hardlinks "$root" "$1"
    git -C "$root" ls-files -z --deleted | (cd "$1" && xargs -0 -r rm -f)
    git -C "$root" ls-files -z --cached --others --exclude-standard |
        tar -C "$root" -c --null -T - --ignore-failed-read 2>/dev/null | tar -x -C "$1"
}

# build FOLDER LIBRARIES SETTINGS... -- MAKE ARGUMENTS...: SETTINGS are for env, and can end in a
# command that make is run by.
build() {
    local folder=$1 libraries=$2 settings=()
    shift 2
    while [ "$1" != -- ]; do settings+=("$1") && shift; done
    shift
    mkdir -p "$folder.home"
    if ! env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS "${settings[@]}" HOME="$folder.home" \
        make -C "$folder" CACHE="$libraries" "$@" image relink-kit > "$folder.log" 2>&1; then
        tail -n 30 "$folder.log" >&2
        exit 1
    fi
}

"$root/image/tools.sh" need verify
here=$work/here elsewhere=$work/elsewhere/in/a/deeper/folder
libraries=$CACHE tarballs=${TARBALLS:-}
copy "$here"
copy "$elsewhere"
echo "  here and now: building"
(umask 022 && build "$here" "$CACHE" TZ=UTC LC_ALL=C -- "$@" TARBALLS="$tarballs")
if [ -n "${FRESH:-}" ]; then libraries=$work/elsewhere/cache tarballs=$CACHE/sources; fi
echo "  elsewhere, on another day: building${FRESH:+ with libraries of its own}"
(umask 077 && build "$elsewhere" "$libraries" TZ=Asia/Kathmandu LC_ALL=C.UTF-8 \
    faketime '2031-05-06 07:08:09' env -- "$@" TARBALLS="$tarballs" JOBS=1)

different=0
for file in "$here"/build/image/*; do
    name=$(basename "$file")
    first=$(sha256sum < "$file" | cut -d ' ' -f 1)
    second=$(sha256sum "$elsewhere/build/image/$name" | cut -d ' ' -f 1) || second=missing
    if [ "$first" = "$second" ]; then
        printf '  %-32s sha256:%s, both times\n' "$name" "$first"
    else
        printf '  %-32s sha256:%s here\n  %-32s sha256:%s elsewhere: DIFFERENT\n' \
            "$name" "$first" '' "$second"
        different=1
    fi
done
if [ "$different" = 1 ]; then
    echo "  Both are in $work, to compare"
    exit 1
fi
rm -rf "$work"
echo "  the same in $(($(date +%s) - started)) s; libraries:" \
    "those of the cache${FRESH:+; the second time built anew}"
