#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tests in kind for the gate: on a machine that can't have a cluster they are skipped, with the
# reason.
#
#     MAKE=make FOLDER=build/kind CACHE=folder [KIND=...] tests/kind/ci.sh COUNTS
#
# KIND=required: a skip is a failure. So it is on a machine that managed before, by its cache.
# KIND=off: always skip.
set -u
here=$(dirname "$0")
counts=$1
managed=$CACHE/kind/managed
kind=${KIND:-auto}
[ "$kind" != auto ] || [ ! -e "$managed" ] || kind=required

# part TARGET: says how long it took.
part() {
    since=$(date +%s)
    $MAKE "$1"
    status=$?
    echo "  $1 took $(($(date +%s) - since)) s"
    return "$status"
}

skip() {
    echo "tests in kind: skipped: $1"
    if [ "$kind" != required ]; then
        echo "0 0" > "$counts"
        exit 0
    fi
    echo "This machine can (KIND=required, or it did before): that is a failure" >&2
    echo "0 1" > "$counts"
    exit 1
}

mkdir -p "$(dirname "$counts")"
case $kind in
auto | required) ;;
off) skip "KIND=off" ;;
*) echo "KIND is auto, required or off, and not $kind" >&2 && exit 2 ;;
esac
reason=$("$here/cluster/cluster.sh" can) || skip "$reason"
# Once more if need be: what an engine left half-way is gone then.
if ! part kind-up && { part kind-down; ! part kind-up; }; then
    part kind-down
    skip "no cluster came up; what it said is above"
fi
touch "$managed"
part test-kind
status=$?
mv "$(dirname "$counts")/test-kind" "$counts" 2> /dev/null || echo "0 1" > "$counts"
part kind-down || status=1
exit "$status"
