#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The undefined symbols of the object that runs in signal context, held to tests/lint/signal-safe.
#
#     tests/lint/signal.sh OBJECT SOURCE
set -eu
object=$1 source=$2
bad=0
for symbol in $(nm -u "$object" | awk '{ print $NF }'); do
    grep -q "^$symbol\( \|$\)" tests/lint/signal-safe && continue
    line=$(grep -n "\<$symbol\>" "$source" | head -n 1 | cut -d : -f 1)
    echo "$source:${line:-1}: signal: $symbol is not known to be safe in a signal handler." \
        "Fix: do without it there, or add it to tests/lint/signal-safe with its reason"
    bad=1
done
exit "$bad"
