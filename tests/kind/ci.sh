#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tests in kind for the gate: on a machine that can't have a cluster they are skipped, with the
# reason.
#
#     MAKE=make FOLDER=build/kind CACHE=folder [KIND=...] tests/kind/ci.sh COUNTS
#
# KIND=required: a skip is a failure, for machines that are known to manage; KIND=off: always skip.
set -u
here=$(dirname "$0")
counts=$1
started=$(date +%s)

skip() {
    echo "tests in kind: skipped: $1"
    if [ "${KIND:-auto}" != required ]; then
        echo "0 0" > "$counts"
        exit 0
    fi
    echo "KIND=required says that this machine can: that is a failure" >&2
    echo "0 1" > "$counts"
    exit 1
}

mkdir -p "$(dirname "$counts")"
case ${KIND:-auto} in
auto | required) ;;
off) skip "KIND=off" ;;
*) echo "KIND is auto, required or off, and not $KIND" >&2 && exit 2 ;;
esac
reason=$("$here/cluster/cluster.sh" can) || skip "$reason"
$MAKE kind-up || skip "no cluster came up; what it said is above"
echo "  kind-up took $(($(date +%s) - started)) s"
$MAKE test-kind
status=$?
cp "$(dirname "$counts")/test-kind" "$counts" 2> /dev/null || echo "0 1" > "$counts"
rm -f "$(dirname "$counts")/test-kind"
$MAKE kind-down || status=1
echo "  the tests in kind took $(($(date +%s) - started)) s in all"
exit "$status"
