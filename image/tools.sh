#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tools of the machine: which there are, and by which Debian package the missing ones come.
#
#     image/tools.sh need GROUP...   installs what is missing, or says exactly what to install
#     image/tools.sh doctor          lists all of them
set -eu

# group  Debian package  what shows that it is there: a command, a file, or a module of Python
tools='
build  gcc                  gcc
build  g++                  g++
build  libc6-dev            /usr/include/features.h
build  linux-libc-dev       /usr/include/linux/errqueue.h
build  binutils             ld
build  make                 make
build  patch                patch
build  gzip                 gzip
build  bzip2                bzip2
build  xz-utils             xz
build  protobuf-c-compiler  protoc-c
arm64  g++-aarch64-linux-gnu  aarch64-linux-gnu-g++
qemu   qemu-user-static     qemu-aarch64-static
pip    python3              python3
pip    python3-pip          python3:pip
run    python3              python3
run    curl                 curl
npm    npm                  npm
test   clang-14             clang-14
test   libclang-rt-14-dev   /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a
page   chromium             chromium
page   nodejs               node
kind   podman               podman
kind   runc                 runc
kind   conmon               conmon
kind   netavark             /usr/lib/podman/netavark
kind   aardvark-dns         /usr/lib/podman/aardvark-dns
kind   iptables             iptables
node   mmdebstrap           mmdebstrap
verify faketime             faketime
lint   clang-format-14      clang-format-14
lint   shellcheck           shellcheck
lint   git                  git
'

is_there() {
    case $1 in
    /*) [ -e "$1" ] ;;
    python3:*) python3 -c "import ${1#*:}" 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# rows GROUP: "package proof" lines.
rows() { echo "$tools" | awk -v group="$1" '$1 == group { print $2, $3 }'; }

missing_of() {
    rows "$1" | while read -r package proof; do
        is_there "$proof" || echo "$package"
    done
}

need() {
    missing=
    for group in "$@"; do missing="$missing $(missing_of "$group" | tr '\n' ' ')"; done
    missing=$(echo "$missing" | xargs)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "These Debian packages are missing: $missing" >&2
        echo "To install them takes root and apt-get. Fix: sudo apt-get install $missing" >&2
        exit 1
    fi
    started=$(date +%s)
    echo "  Debian packages: installing $missing"
    log=$(mktemp)
    # shellcheck disable=SC2086  # a list of words
    if ! {
        apt-get -q update &&
            DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
    } > "$log" 2>&1 < /dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "apt-get could not install: $missing" >&2
        exit 1
    fi
    rm -f "$log"
    echo "  Debian packages: installed in $(($(date +%s) - started)) s"
}

doctor() {
    for group in build arm64 qemu pip run npm test page lint verify kind node; do
        rows "$group" | while read -r package proof; do
            if is_there "$proof"; then
                where=$(command -v "$proof" || echo "$proof")
                printf '%-6s %-21s found    %s\n' "$group" "$package" "$where"
            else
                printf '%-6s %-21s MISSING  apt-get install %s\n' "$group" "$package" "$package"
            fi
        done
    done
}

case ${1:-} in
need)
    shift
    need "$@"
    ;;
doctor) doctor ;;
*)
    sed -n '3,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
