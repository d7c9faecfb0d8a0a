#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make run`: two stand-in backends, the external processor and a real Envoy, a trickle of traffic, and what to try.
# Stops all of it at Ctrl-C or SIGTERM. Writes into FOLDER only.
#
#     PROGRAM=build/extproc BACKEND=build/tests/backend/backend FOLDER=build/run tests/run/run.sh
#
# Knobs, from the environment: ENVOY=0 (the processor alone), ENVOY_PORT, TRAFFIC (large requests a second; 0: no requests
# of its own), and every setting of the processor: EXTPROC_LISTEN, EXTPROC_ADMIN_ADDRESS, PPROF_ADDRESS, DISABLE_PPROF...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${PROGRAM:?}" "${BACKEND:?}" "${FOLDER:?}"

: "${ENVOY:=1}" "${ENVOY_PORT:=10000}" "${TRAFFIC:=50}" "${PPROF_ADDRESS:=localhost:6060}"
# Nobody but this machine needs to reach what is started here, and nobody has to be told before it stops.
: "${EXTPROC_LISTEN:=127.0.0.1:1063}" "${EXTPROC_ADMIN_ADDRESS:=127.0.0.1:1064}" "${EXTPROC_DRAIN_DELAY:=0}"
export EXTPROC_LISTEN EXTPROC_ADMIN_ADDRESS EXTPROC_DRAIN_DELAY PPROF_ADDRESS

fail() {
    printf 'run: %s\n' "$*" >&2
    exit 1
}

# Everything that runs in the background is a process group of its own, so that stopping it leaves no child behind.
set -m
programs=() helpers=()

stop() {
    trap '' INT TERM HUP
    # bash would report each process that is stopped here.
    exec 2> /dev/null
    set +e
    local group
    for group in "${helpers[@]}"; do kill -KILL -- "-$group"; done
    for ((i = ${#programs[@]} - 1; i >= 0; i--)); do
        kill -TERM "${programs[i]}" || continue
        for ((tries = 0; tries < 100; tries++)); do
            kill -0 "${programs[i]}" || break
            sleep 0.05
        done
        kill -KILL "${programs[i]}"
    done
    wait
}
trap stop EXIT
trap 'echo; echo "run: stopping"; exit 0' INT TERM HUP

# start NAME COMMAND...: in the background, with its output in FOLDER/NAME.log.
start() {
    local name=$1
    shift
    "$@" > "$FOLDER/$name.log" 2>&1 < /dev/null &
    last_started=$!
    programs+=("$last_started")
    started_ms=$(now_ms)
}

# help FUNCTION: in the background, with our output; has nothing to save when it is stopped.
help() {
    "$@" < /dev/null &
    helpers+=("$!")
}

now_ms() {
    date +%s%3N
}

# wait_log NAME PATTERN: until a line of its log matches, which comes in `line`.
wait_log() {
    for ((i = 0; i < 600; i++)); do
        line=$(grep -m 1 -e "$2" "$FOLDER/$1.log") && return
        kill -0 "$last_started" 2>/dev/null || break
        sleep 0.02
    done
    cat "$FOLDER/$1.log" >&2
    fail "$1 did not start; that was its log"
}

ready() {
    printf '  %s: ready in %s ms%s\n' "$1" "$(($(now_ms) - started_ms))" "${2:+, $2}"
}

# port_of ADDRESS: nothing for a Unix socket.
port_of() {
    case $1 in
    unix:*) ;;
    *) echo "${1##*:}" ;;
    esac
}

# Asks the kernel's list of sockets rather than connecting: 0A is the state of a listening one.
is_taken() {
    local hex
    hex=$(printf ':%04X' "$1")
    # Where there is no IPv6, there is no such file.
    { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || true; } |
        awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { taken = 1 } END { exit !taken }'
}

# check_port KNOB VALUE FREE_VALUE: a taken port is said before anything is started.
check_port() {
    local port
    port=$(port_of "$2")
    case $port in
    '' | 0) return ;;
    *[!0-9]*) fail "$1=$2 does not end in a port" ;;
    esac
    ((port < 65536)) || fail "$1=$2 is no port: 0 to 65535"
    is_taken "$port" || return 0
    fail "port $port is taken ($1=$2). Choose another one: make run $1=$3"
}

check_ports() {
    local address
    for address in ${EXTPROC_LISTEN//,/ }; do check_port EXTPROC_LISTEN "$address" 127.0.0.1:2063; done
    check_port EXTPROC_ADMIN_ADDRESS "$EXTPROC_ADMIN_ADDRESS" 127.0.0.1:2064
    [ -n "${DISABLE_PPROF+set}" ] || check_port PPROF_ADDRESS "$PPROF_ADDRESS" localhost:7070
    [ "$ENVOY" = 0 ] || check_port ENVOY_PORT "$ENVOY_PORT" 10001
}

# reachable ADDRESS: where this machine finds a listener, which may be bound to every address. Nothing for no address.
reachable() {
    local host=${1%:*}
    case $host in
    '[::]' | 0.0.0.0 | 127.0.0.1) host=localhost ;;
    esac
    [ -z "$1" ] || echo "$host:${1##*:}"
}

# endpoint ADDRESS: the same in the words of Envoy's configuration.
endpoint() {
    local host
    case $1 in
    unix://*)
        local path=${1#unix://}
        echo "pipe: { path: \"${path%%\?*}\" }"
        ;;
    *)
        host=$(reachable "$1")
        host=${host%:*}
        host=${host//[\[\]]/}
        echo "socket_address: { address: \"${host/localhost/127.0.0.1}\", port_value: ${1##*:} }"
        ;;
    esac
}

# address_in LINE: of a log line.
address_in() {
    echo "$1" | sed -n 's/.* address=\([^ ]*\).*/\1/p'
}

start_extproc() {
    start extproc "$PROGRAM"
    extproc_pid=$last_started
    wait_log extproc 'msg=listening.* service=grpc'
    grpc=$(address_in "$line")
    wait_log extproc 'msg=listening.* service=admin'
    admin=$(reachable "$(address_in "$line")")
    # Served before gRPC is, if it is.
    line=$(grep -m 1 'msg=listening.* service=pprof' "$FOLDER/extproc.log") || line=
    pprof=$(reachable "$(address_in "$line")")
    ready extproc "gRPC on $grpc"
}

# start_backend NAME: its address comes in `address`.
start_backend() {
    start "backend-$1" "$BACKEND" --name "$1"
    wait_log "backend-$1" '^listening address='
    address=$(address_in "$line")
    ready "backend-$1" "for model-$1"
}

start_envoy() {
    local backend_a backend_b
    start_backend a
    backend_a=$address
    start_backend b
    backend_b=$address
    : > "$FOLDER/access.log"
    sed -e "s|@ENVOY_PORT@|$ENVOY_PORT|; s|@BUFFER_LIMIT@|52428800|; s|@ACCESS_LOG@|$FOLDER/access.log|" \
        -e "s|@EXTPROC@|$(endpoint "$grpc")|" -e "s|@BACKEND_A@|$(endpoint "$backend_a")|" \
        -e "s|@BACKEND_B@|$(endpoint "$backend_b")|" "$here/envoy.yaml.in" > "$FOLDER/envoy.yaml"
    start envoy "$envoy" --config-path "$FOLDER/envoy.yaml" --concurrency 2 --disable-hot-restart --log-level info \
        --file-flush-interval-msec 100
    envoy_pid=$last_started
    wait_log envoy 'starting main dispatch loop'
    until curl -s -o /dev/null "http://127.0.0.1:$ENVOY_PORT/"; do
        kill -0 "$envoy_pid" 2>/dev/null || fail "Envoy ended: $FOLDER/envoy.log"
        sleep 0.02
    done
    ready envoy "on 127.0.0.1:$ENVOY_PORT"
}

# Two kinds of requests of its own: a few that the access log below shows, and bodies of 1 MB that give the profile
# something to count and are left out there.
trickle() {
    local url=http://127.0.0.1:$ENVOY_PORT/v1 shown=(-s -o /dev/null -H 'content-type: application/json')
    local messages='"messages":[{"role":"user","content":"Hello"}]'
    while true; do
        curl "${shown[@]}" "$url/chat/completions" -d "{\"model\":\"model-a\",$messages}" || true
        sleep 1
        curl "${shown[@]}" "$url/chat/completions" -d "{\"model\":\"model-b\",\"stream\":true,$messages}" \
            -H 'x-backend-delay-ms: 50' || true
        sleep 1
        curl "${shown[@]}" "$url/embeddings" -d '{"model":"model-b","input":"Hello"}' || true
        sleep 1
    done
}

trickle_large() {
    {
        printf '{"model":"model-a","messages":[{"role":"user","content":"'
        head -c 750000 /dev/zero | base64 -w 0
        printf '"}]}'
    } > "$FOLDER/large.json"
    # One curl is one connection; the number in brackets repeats the request.
    while true; do
        curl -s -o /dev/null --rate "$TRAFFIC/s" -H 'content-type: application/json' -H 'x-test-id: large' \
            --data-binary "@$FOLDER/large.json" "http://127.0.0.1:$ENVOY_PORT/v1/chat/completions?[1-1000]" || sleep 1
    done
}

show_access_log() {
    tail -n 0 -F "$FOLDER/access.log" 2>/dev/null | grep --line-buffered -v ' id=large$' | sed -u 's/^/  /; s/ id=-$//'
}

print_commands() {
    local chat='"messages":[{"role":"user","content":"Hello"}]'
    echo
    echo "Try:"
    if [ "$ENVOY" != 0 ]; then
        cat <<END
  curl http://127.0.0.1:$ENVOY_PORT/v1/chat/completions -d '{"model":"model-a",$chat}'
  curl http://127.0.0.1:$ENVOY_PORT/v1/chat/completions -d '{"model":"model-b",$chat}'
  curl -N http://127.0.0.1:$ENVOY_PORT/v1/chat/completions -H 'x-backend-delay-ms: 200' -d '{"model":"model-a","stream":true,$chat}'
END
    fi
    if [ -n "${DISABLE_PPROF+set}" ]; then
        echo "  (no pprof: DISABLE_PPROF is set)"
    elif [ -z "$pprof" ]; then
        echo "  (no pprof: $FOLDER/extproc.log says why)"
    else
        cat <<END
  http://$pprof/debug/pprof/
  go tool pprof -top 'http://$pprof/debug/pprof/profile?seconds=5'
END
    fi
    cat <<END
  curl http://$admin/metrics
  curl http://$admin/health

Logs are in $FOLDER. Ctrl-C stops everything.
END
}

mkdir -p "$FOLDER"
FOLDER=$(cd "$FOLDER" && pwd)
check_ports
if [ "$ENVOY" != 0 ]; then
    command -v curl >/dev/null || fail "curl is missing; on Debian: apt-get install curl"
    envoy=$("$here/fetch-envoy.sh") || exit 1
fi
start_extproc
extproc_lines=$(wc -l < "$FOLDER/extproc.log")
if [ "$ENVOY" = 0 ]; then
    print_commands
    echo "The processor's log:"
    head -n "$extproc_lines" "$FOLDER/extproc.log"
    help tail -n "+$((extproc_lines + 1))" -F "$FOLDER/extproc.log"
else
    start_envoy
    print_commands
    if [ "$TRAFFIC" != 0 ]; then
        echo "Requests go through it meanwhile (TRAFFIC=0: none). Envoy's access log, without the large ones:"
        help trickle
        help trickle_large
    else
        echo "Envoy's access log:"
    fi
    help show_access_log
fi

# Until one of the two ends by itself, which it should not.
wait -n "$extproc_pid" ${envoy_pid:+"$envoy_pid"} || true
for name in extproc ${envoy_pid:+envoy}; do
    pid=${name}_pid
    kill -0 "${!pid}" 2>/dev/null && continue
    tail -n 20 "$FOLDER/$name.log" >&2
    fail "$name has ended; that was the end of $FOLDER/$name.log"
done
