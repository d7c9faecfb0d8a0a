#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One kind cluster, named extproc, for the tests; it touches no kubeconfig but its own.
#
#     CACHE=folder FOLDER=build/kind [TARBALLS=folder] tests/kind/cluster/cluster.sh COMMAND
#
#     up             makes it, or finds that it is there; leaves FOLDER/kubeconfig
#     load FILE...   brings image archives to its node, unless the node has them
#     environment    prints what reaches it, for a shell to eval
#     down           removes all that up made outside FOLDER and CACHE, also for another FOLDER
#     can            whether this machine can have one; prints why not
#
# KIND_NODE=stock|built, and auto by default: kind's own node image if it can be had, else the one
# of tests/kind/node, from package registries. KIND_NO_POLICY=1: a cluster where nothing enforces
# policies, to see the tests fail.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
node=$here/../node
image=$here/../../../image
mkdir -p "$CACHE" "$FOLDER"
CACHE=$(cd "$CACHE" && pwd)
FOLDER=$(cd "$FOLDER" && pwd)
cluster=extproc
container=$cluster-control-plane
images=localhost/extproc-node
export KUBECONFIG=$FOLDER/kubeconfig
# Whether something enforces policies in the cluster that is there.
mode=$FOLDER/mode
wanted_mode=${KIND_NO_POLICY:+no }policy

# shellcheck source=tests/kind/step.sh
. "$here/../step.sh"

fail() {
    printf 'kind: %s\n' "$*" >&2
    exit 1
}

docker_runs() {
    command -v docker > /dev/null && docker info > /dev/null 2>&1
}

# Which engine runs the node; podman is installed where that is possible.
choose_engine() {
    engine=${KIND_EXPERIMENTAL_PROVIDER:-}
    if [ -z "$engine" ] && docker_runs; then engine=docker; fi
    if [ -z "$engine" ]; then
        "$image/tools.sh" need kind >&2
        engine=podman
    fi
    export KIND_EXPERIMENTAL_PROVIDER=$engine
    [ "$engine" = podman ] && [ -z "${CONTAINERS_CONF:-}" ] || return 0
    # What is given to containers must fit into what this machine gives (podman lowers its own
    # number of processes to that of the kernel); crun needs cgroup v2.
    export CONTAINERS_CONF=$FOLDER/containers.conf
    local files processes
    files=$(ulimit -Hn | sed 's/unlimited/1048576/')
    processes=$({ ulimit -Hu && cat /proc/sys/kernel/pid_max; } | sort -n | grep -m 1 -v unlimited)
    {
        echo "[containers]"
        echo "default_ulimits = [\"nofile=$files:$files\", \"nproc=$processes:$processes\"]"
        echo "pids_limit = 0"
        [ -e /sys/fs/cgroup/cgroup.controllers ] || printf '[engine]\nruntime = "runc"\n'
    } > "$CONTAINERS_CONF"
}

find_tools() {
    local go
    go=$("$here/../../toolchain.sh" "$node/kind")
    kubectl=$(PATH=$(dirname "$go"):$PATH "$here/../../chart/tools.sh" kubectl)
    kind=$CACHE/tools/kind-$(sed -n 's,.*sigs.k8s.io/kind v\([^ ]*\).*,\1,p' "$node/kind/go.mod")
    [ -x "$kind" ] && return
    export GOTOOLCHAIN=local GOCACHE=$CACHE/go-build GOMODCACHE=$CACHE/go-modules
    step kind "1 min" "$go" build -C "$node/kind" -modcacherw -trimpath -ldflags '-s -w' \
        -o "$kind.new" sigs.k8s.io/kind
    mv "$kind.new" "$kind"
}

exists() {
    "$kind" get clusters 2> /dev/null | grep -qx "$cluster"
}

delete() {
    step "removing the cluster that is there" "10 s" "$kind" delete cluster --name "$cluster"
}

answers() {
    "$kubectl" get --raw /readyz > /dev/null 2>&1
}

version_of() {
    sed -n "s,^[[:space:]]*\(require \|\)$2 v\([^ ]*\).*,\2,p" "$node/$1/go.mod" | head -n 1
}

# fill FILE: with the names and versions of the built node.
fill() {
    local router
    router=$(version_of kube-router github.com/cloudnativelabs/kube-router/v2)
    sed -e "s/@CLUSTER@/$cluster/; s/@ETCD@/$(version_of etcd go.etcd.io/etcd/server/v3)/" \
        -e "s/@COREDNS@/$(version_of coredns github.com/coredns/coredns)/" \
        -e "s/@KUBE_ROUTER@/$router/" "$1"
}

create() {
    # kind mounts it into the node; a kernel without modules has none.
    mkdir -p /lib/modules
    "$kind" create cluster --name "$cluster" --wait 180s "$@"
}

up_stock() {
    [ -z "${KIND_NO_POLICY:-}" ] ||
        fail "KIND_NO_POLICY needs KIND_NODE=built: the stock node's network always enforces"
    step "cluster with kind's node image" "2 min" create --config "$here/stock.yaml"
}

up_built() {
    local file
    [ "$engine" = podman ] ||
        fail "the node image from package registries needs podman (KIND_EXPERIMENTAL_PROVIDER=podman)"
    file=$("$node/build.sh" path)
    tag=$images:$(basename "$file" .tar.gz)
    "$node/build.sh"
    if ! podman image exists "$tag"; then
        step "importing the node image" "20 s" podman import -q --change 'ENV container=docker' \
            --change 'STOPSIGNAL SIGRTMIN+3' \
            --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' "$file" "$tag"
    fi
    fill "$here/built.yaml" > "$FOLDER/cluster.yaml"
    step "cluster with the built node image" "30 s" create --config "$FOLDER/cluster.yaml" \
        --image "$tag"
    if [ -n "${KIND_NO_POLICY:-}" ]; then
        echo "  Nothing enforces NetworkPolicies here: KIND_NO_POLICY is set"
    else
        fill "$here/kube-router.yaml" > "$FOLDER/kube-router.yaml"
        step kube-router "5 s" enforce
    fi
}

# kube-router writes back the whole table that it has read, without what kube-proxy has put into it
# meanwhile: so kube-proxy first, until the API server's address leads somewhere.
wait_for_kube_proxy() {
    local tries=240
    until "$engine" exec "$container" iptables -t nat -S KUBE-SERVICES 2> /dev/null |
        grep -q 'default/kubernetes:https'; do
        tries=$((tries - 1))
        [ "$tries" != 0 ] || fail "kube-proxy has written no rules in two minutes"
        sleep 0.5
    done
}

enforce() {
    wait_for_kube_proxy
    "$kubectl" apply -f "$FOLDER/kube-router.yaml"
    "$kubectl" -n kube-system rollout status daemonset/kube-router --timeout=120s
}

# An older run may have been ended in the middle: what does not answer, or is not as it is wanted,
# is made anew.
up() {
    local started
    started=$(date +%s)
    find_tools
    choose_engine
    if exists && answers && [ "$(cat "$mode" 2> /dev/null)" = "$wanted_mode" ]; then
        echo "  The cluster $cluster is there."
        return
    fi
    if exists; then delete; fi
    case ${KIND_NODE:-auto} in
    stock) up_stock ;;
    built) up_built ;;
    auto)
        # What was built once was needed, and is quicker.
        if [ -n "${KIND_NO_POLICY:-}" ] || [ -e "$("$node/build.sh" path)" ]; then
            up_built
        elif ! up_stock; then
            echo "  Not to be had here. So the node image comes from package registries."
            up_built
        fi
        ;;
    *) fail "KIND_NODE is stock, built or auto, and not $KIND_NODE" ;;
    esac
    echo "$wanted_mode" > "$mode"
    step "cluster DNS" "15 s" \
        "$kubectl" -n kube-system rollout status deployment/coredns --timeout=180s
    echo "  The cluster $cluster is up after $(duration $(($(date +%s) - started)))."
    echo "  To use it: export KUBECONFIG=$KUBECONFIG"
}

# An archive is known by the digests of its manifests.
load() {
    local file digests known
    find_tools
    choose_engine
    known=$("$engine" exec "$container" ctr -n k8s.io images ls | awk 'NR > 1 { print $1 "@" $3 }')
    for file in "$@"; do
        digests=$(python3 - "$file" << 'END'
import json, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    for manifest in json.load(archive.extractfile("index.json"))["manifests"]:
        print(manifest["annotations"]["io.containerd.image.name"] + "@" + manifest["digest"])
END
        )
        if ! echo "$digests" | grep -qvxF "$known"; then continue; fi
        step "loading $(basename "$file")" "2 s" \
            "$kind" load image-archive --name "$cluster" "$file"
    done
}

environment() {
    choose_engine
    printf 'export %s=%q\n' KUBECONFIG "$KUBECONFIG" KIND_EXPERIMENTAL_PROVIDER "$engine"
    [ -z "${CONTAINERS_CONF:-}" ] || printf 'export CONTAINERS_CONF=%q\n' "$CONTAINERS_CONF"
}

# It keeps no list of what up made: the build folder that made it may be gone.
down() {
    find_tools
    choose_engine
    if exists; then delete; fi
    # What others use stays: the image by another name, the network with their clusters in it. A
    # folder with modules is not empty.
    if [ "$engine" = podman ]; then
        podman images --format '{{.Repository}}:{{.Tag}}' "$images" |
            xargs -r podman rmi > /dev/null 2>&1 || true
    fi
    if [ -z "$("$kind" get clusters 2> /dev/null)" ]; then
        "$engine" network rm kind > /dev/null 2>&1 || true
        rmdir /lib/modules 2> /dev/null || true
    fi
    rm -f "$mode" "$KUBECONFIG" "$FOLDER"/{containers.conf,cluster.yaml,kube-router.yaml}
}

# Docker, or podman as root: rootless podman needs cgroup delegation, which kind explains itself.
can() {
    docker_runs && return
    command -v podman > /dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null && return
    echo "there is no running Docker and no podman, and this user can't install one by apt-get"
    return 1
}

case ${1:-} in
up | environment | down | can) "$1" ;;
load) shift && load "$@" ;;
*) sed -n '3,17s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
