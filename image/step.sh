# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced: steps that take a while say so while they go on.

# step NAME LOG COMMAND...: one line when it starts, one with the time when it ends; the output goes
# to LOG, whose end is shown when the command fails.
step() {
    step_name=$1 step_log=$2
    shift 2
    step_started=$(date +%s)
    echo "  $step_name: building"
    if ! "$@" > "$step_log" 2>&1; then
        tail -n 30 "$step_log" | cut -c 1-240 >&2
        echo "  $step_name: failed; all of its output is in $step_log" >&2
        return 1
    fi
    echo "  $step_name: built in $(($(date +%s) - step_started)) s"
}
