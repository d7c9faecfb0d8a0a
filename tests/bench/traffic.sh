#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the profiler costs the processor under an Envoy's load, "NAME OURS PEER [SPREAD]" a line:
# instructions of a request with pprof idle beside DISABLE_PPROF (valgrind counts them: they do not depend
# on what else the machine does), and requests and CPU time while a CPU profile runs beside none, and while
# 500 clients of the profiling endpoint send a byte a second.
#
#     tests/bench/traffic.sh PROGRAM LOAD    LOAD is tests/bench/load, built
set -eu
program=$1 load=$2
pairs=${PAIRS:-9}
folder=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$folder"' EXIT

# start COMMAND...: the processor with one worker, by that command; its log tells the addresses.
start() {
    : > "$folder/log"
    EXTPROC_LISTEN=127.0.0.1:0 EXTPROC_ADMIN_ADDRESS=127.0.0.1:0 PPROF_ADDRESS=127.0.0.1:0 \
        EXTPROC_WORKERS=1 EXTPROC_DRAIN_DELAY=0 "$@" 2> "$folder/log" &
    pid=$!
    until [ -n "$(address admin)" ]; do
        kill -0 "$pid" || { cat "$folder/log" >&2; exit 1; }
        sleep 0.05
    done
}
address() { sed -n "s/.*service=$1 address=//p" "$folder/log"; }
stop() {
    kill "$pid"
    wait "$pid" || true
    pid=
}

# instructions REQUESTS [SETTING]: of a whole run. valgrind makes calls of its own in the same process.
instructions() {
    requests=$1
    shift
    start env EXTPROC_SANDBOX=off "$@" valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program"
    "$load" --address "$(address grpc)" --streams 1 --requests "$requests" > /dev/null
    stop
    sed -n 's/.*Collected : //p' "$folder/log"
}

# per_request [SETTING]: what a request takes more, so that start and end do not count.
per_request() {
    few=$(instructions 200 "$@")
    many=$(instructions 2200 "$@")
    echo $(((many - few) / 2000))
}

# "PER_SECOND CPU_US": how many requests in a second, and the processor's CPU time for each.
traffic() {
    "$load" --address "$(address grpc)" --duration 1s --pid "$pid" |
        sed 's/.*per_second=\([0-9]*\).*cpu_us_per_request=\(.*\)/\1 \2/'
}

profile() { exec curl -s -o "$folder/profile" "http://$(address pprof)/debug/pprof/profile?seconds=60"; }
crowd() { exec "$load" --crowd 500 --address "$(address pprof)"; }

# pairs FUNCTION: "WITH_PER_SECOND WITH_CPU WITHOUT_PER_SECOND WITHOUT_CPU" a line, alternating: other work on the
# machine meets both.
pairs() {
    traffic > /dev/null
    for _ in $(seq "$pairs"); do
        without=$(traffic)
        "$1" &
        meanwhile=$!
        sleep 1 # until it is there
        with=$(traffic)
        kill "$meanwhile"
        wait "$meanwhile" 2> /dev/null || true
        echo "$with $without"
    done
}

# median NAME COLUMN: of that column beside its peer's, by the ratio, and between what half of all ratios lie.
median() {
    awk -v column="$2" '{ print $column / $(column + 2), $column, $(column + 2) }' "$folder/pairs" | sort -n |
        awk -v name="$1" '{ ratio[NR] = $1; line[NR] = $2 " " $3 }
            END { printf "%s %s half_in_%.3f..%.3f\n", name, line[int((NR + 1) / 2)],
                ratio[int((NR + 3) / 4)], ratio[int((3 * NR + 3) / 4)] }'
}

if command -v valgrind > /dev/null; then
    echo "instructions_per_request $(per_request) $(per_request DISABLE_PPROF=1)"
else
    echo "instructions_per_request: no valgrind here. Fix: apt-get install valgrind" >&2
fi
start "$program"
pairs profile > "$folder/pairs"
median throughput_while_profiled 1
median cpu_us_per_request_while_profiled 2
pairs crowd > "$folder/pairs"
stop
median throughput_while_crowded 1
median cpu_us_per_request_while_crowded 2
