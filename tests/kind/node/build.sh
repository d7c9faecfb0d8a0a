#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the file system of a node for kind from package registries alone: a Debian root by apt,
# Kubernetes, etcd, CoreDNS and kube-router from the Go module proxy, kind's own files from its
# module. Nothing of these is kept in this folder but the versions that are asked for (go.mod), and
# what differs from kind's node image: README.md says what and why.
#
#     CACHE=folder [TARBALLS=folder] tests/kind/node/build.sh        makes it, unless it is there
#     CACHE=folder [TARBALLS=folder] tests/kind/node/build.sh path   prints where it is, or will be
#
# It is CACHE/kind/node-KEY.tar.gz; KEY is the hash of everything that decides what comes out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tests=$here/../..
mkdir -p "$CACHE/kind"
CACHE=$(cd "$CACHE" && pwd)
kind=$CACHE/kind
codename=$(. /etc/os-release && echo "${ID:-}-${VERSION_CODENAME:-}")

key=$({
    find "$here" "$tests/../image/oci/archive.py" -type f ! -name '*.md' | LC_ALL=C sort |
        xargs sha256sum | cut -c 1-64
    echo "$codename"
} | sha256sum | cut -c 1-16)
node=$kind/node-$key.tar.gz
if [ "${1:-}" = path ]; then
    echo "$node"
    exit
fi

# shellcheck source=tests/kind/step.sh
. "$here/../step.sh"

# What the steps share; gone when all is well.
work=$kind/work
root=$work/root
go=
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-mod=readonly -modcacherw -trimpath -buildvcs=false"
export GOCACHE=$kind/go-build GOMODCACHE=$kind/go-modules

version_of() {
    sed -n "s,^[[:space:]]*\(tool \|require \|\)$2 v\([^ ]*\).*,\2,p" "$here/$1/go.mod" | head -n 1
}

# program NAME EXPECTED PACKAGE [LDFLAGS]: built from the module NAME into CACHE, once for its
# content.
program() {
    local name=$1 expected=$2 package=$3 flags="-s -w ${4:-}" content
    content=$({
        find "$here/$name" -type f | LC_ALL=C sort | xargs cat
        "$go" env GOVERSION
        echo "$package $flags"
    } | sha256sum | cut -c 1-16)
    if [ ! -x "$kind/programs/$name-$content" ]; then
        step "$name" "$expected" nice -n 10 "$go" build -C "$here/$name" -p 2 -ldflags "$flags" \
            -o "$kind/programs/.$name" "$package"
        mv "$kind/programs/.$name" "$kind/programs/$name-$content"
    fi
    ln -f "$kind/programs/$name-$content" "$work/programs/$name"
}

programs() {
    local kubernetes part module router flags=""
    kubernetes=$(version_of kube k8s.io/kubernetes)
    for module in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        for part in "gitVersion=v$kubernetes" gitMajor=1 "gitMinor=$(echo "$kubernetes" | cut -d . -f 2)" \
            gitTreeState=clean buildDate=1970-01-01T00:00:00Z gitCommit=none; do
            flags="$flags -X $module.$part"
        done
    done
    mkdir -p "$kind/programs" "$work/programs"
    go=$("$tests/toolchain.sh" "$here/kube")
    program kube "6 min" . "$flags"
    program etcd "30 s" go.etcd.io/etcd/server/v3
    program coredns "1 min" .
    router=github.com/cloudnativelabs/kube-router/v2
    program kube-router "3 min" $router/cmd/kube-router \
        "-X $router/pkg/version.Version=v$(version_of kube-router $router)"
    gcc -Os -static -s -o "$work/programs/pause" "$here/pause.c"
}

debian() {
    local sources
    case $codename in
    debian-?*) ;;
    *)
        echo "node image: its root comes by apt from a Debian's own sources; this is ${codename%-}" >&2
        return 1
        ;;
    esac
    sources=/etc/apt/sources.list.d/debian.sources
    [ -e "$sources" ] || sources=/etc/apt/sources.list
    mmdebstrap --mode=root --variant=minbase --include="$(paste -sd , "$here/packages")" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io \
        "${codename#debian-}" "$root" "$sources"
    rm -rf "${root:?}/dev" "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*
    mkdir "$root/dev"
}

# expect FILE PATTERN: what was changed in a file of kind's is there, or kind's file is another now.
expect() {
    grep -q -e "$2" "$1" || { echo "$1 has no line $2: has kind changed it?"; return 1; }
}

# As kind's Dockerfile does it, but for what README.md names.
kinds_files() {
    local base config=$root/etc/containerd/config.toml name
    "$go" mod download -C "$here/kind" sigs.k8s.io/kind
    base=$("$go" list -C "$here/kind" -m -f '{{.Dir}}' sigs.k8s.io/kind)/images/base/files
    cp -r --no-preserve=ownership,mode "$base/etc" "$base/kind" "$base/usr" "$root/"
    chmod 755 "$root"/usr/local/bin/* "$root"/kind/bin/*
    (
        cd "$root/lib/systemd/system"
        rm -f sysinit.target.wants/systemd-tmpfiles-setup.service multi-user.target.wants/* \
            local-fs.target.wants/* sockets.target.wants/*udev* sockets.target.wants/*initctl* \
            basic.target.wants/* "$root"/etc/systemd/system/*.wants/* containerd.service
    )
    echo ReadKMsg=no >> "$root/etc/systemd/journald.conf"
    ln -sf /lib/systemd/systemd "$root/sbin/init"
    : > "$root/etc/machine-id"

    ln -sf /usr/bin/containerd /usr/bin/ctr /usr/bin/containerd-shim-runc-v2 "$root/usr/local/bin/"
    ln -sf /usr/sbin/runc "$root/usr/local/sbin/runc"
    mkdir -p "$root/opt/cni/bin" "$root/etc/cni/net.d" "$root/etc/kubernetes/manifests" \
        "$root/kind/manifests"
    for name in host-local loopback ptp portmap; do
        ln -sf "/usr/lib/cni/$name" "$root/opt/cni/bin/$name"
    done
    rm -f "$root"/etc/cni/net.d/*

    sed -i -e 's,sandbox_image = .*,sandbox_image = "localhost/kube/pause:local",' \
        -e 's/^\( *\)restrict_oom_score_adj = false/\1restrict_oom_score_adj = true\
\1enable_unprivileged_ports = true\
\1enable_unprivileged_icmp = true/' "$config"
    for name in 'restrict_oom_score_adj = true' localhost/kube/pause:local \
        'enable_unprivileged_ports = true' 'enable_unprivileged_icmp = true'; do
        expect "$config" "$name"
    done
    chroot "$root" ctr oci spec | python3 -c 'import json, sys
spec = json.load(sys.stdin)
del spec["process"]["rlimits"]
json.dump(spec, sys.stdout)' > "$root/etc/containerd/cri-base.json"
}

our_files() {
    local name
    cp "$here/files/10-ptp.conflist" "$root/etc/cni/net.d/"
    cp "$here/files/import-images.service" "$root/etc/systemd/system/"
    cp "$here/files/20-images.conf" "$root/etc/systemd/system/kubelet.service.d/"
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    for name in kubelet containerd undo-mount-hacks import-images; do
        ln -sf "../$name.service" "$root/etc/systemd/system/multi-user.target.wants/"
    done
    ln -sf /dev/null "$root/etc/systemd/system/systemd-binfmt.service"
    install -m 755 "$work/programs/kube" "$root/usr/bin/kube"
    for name in kubelet kubeadm; do ln -sf kube "$root/usr/bin/$name"; done
    install -m 755 "$("$tests/chart/tools.sh" kubectl)" "$root/usr/bin/kubectl"
    printf 'v%s' "$(version_of kube k8s.io/kubernetes)" > "$root/kind/version"
}

assemble() {
    kinds_files
    our_files
    python3 "$here/images.py" "$work/programs" "$root" "$root/kind/images.tar"
    tar -C "$root" --numeric-owner --sort=name --mtime=@0 -cf - . | gzip -1 -n > "$kind/.node"
}

exec 9> "$kind/lock"
flock 9
[ ! -e "$node" ] || exit 0
started=$(date +%s)
echo "  A node image from package registries: about 13 min on two idle cores, once; kept in $kind"
"$tests/../image/tools.sh" need build node run
rm -rf "$work"
mkdir -p "$work"
programs
step "Debian root file system" "40 s" debian
step "node image" "20 s" assemble
rm -f "$kind"/node-*.tar.gz
mv "$kind/.node" "$node"
rm -rf "$work" "$GOCACHE" "$GOMODCACHE"
echo "  node image: made in $(duration $(($(date +%s) - started))), $(du -h "$node" | cut -f 1)"
