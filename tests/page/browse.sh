#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goes through the page of a running program in a real browser, and tells what holds as TAP.
# Screenshots, and the file that was downloaded, go into OUT. The program should be under load.
#
#     [CACHE=folder] [GO=go] [WINDOWS=4] [HOT="FUNCTION FILE INLINED"] \
#         tests/page/browse.sh http://localhost:6060/debug/pprof/ OUT
#
# WINDOWS: what the program has as PPROF_CPU_WINDOWS; nobody else may be profiling it meanwhile.
# HOT: what the load makes hot; by default what large bodies do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PLAYWRIGHT=$("$here/tools.sh")
export PLAYWRIGHT URL_UNDER_TEST="${1:?the address of the index}" OUT="${2:?a folder}"
exec node --test-reporter=tap "$here/browser.mjs"
