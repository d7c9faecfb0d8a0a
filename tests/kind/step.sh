# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced: steps that take minutes say so before, while they go on, and after.

# duration SECONDS: as one would say it.
duration() {
    if [ "$1" -lt 100 ]; then echo "$1 s"; else echo "$((($1 + 30) / 60)) min"; fi
}

# step TITLE EXPECTED COMMAND...: EXPECTED is a duration in words. Its output is shown if it fails.
step() {
    local title=$1 expected=$2 since log status teller nap
    shift 2
    since=$(date +%s)
    log=$(mktemp)
    echo "  $title: about $expected"
    (
        trap 'kill "$nap" 2>/dev/null; exit' TERM
        while true; do
            sleep 60 &
            nap=$!
            wait "$nap"
            echo "  $title: $(duration $(($(date +%s) - since))) so far"
        done
    ) &
    teller=$!
    # Not in an `if`: there `set -e` would not hold inside a function.
    set +e
    (
        set -e
        "$@"
    ) > "$log" 2>&1 < /dev/null
    status=$?
    set -e
    kill "$teller"
    wait "$teller" 2>/dev/null || true
    if [ "$status" != 0 ]; then
        tail -n 60 "$log" >&2
        echo "  $title: failed; that was the end of what it said" >&2
    else
        echo "  $title: $(duration $(($(date +%s) - since)))"
    fi
    rm -f "$log"
    return "$status"
}
