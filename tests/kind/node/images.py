#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the images of Kubernetes' own pods, all over one layer, into one archive.

    tests/kind/node/images.py PROGRAMS ROOTFS OUT

PROGRAMS is a folder with kube, etcd, coredns, kube-router and pause. What kube-proxy and
kube-router call (iptables and so on) is taken from ROOTFS, with the libraries that it needs.
kubeadm looks for the images in the repository localhost/kube; the versions are those of the go.mod
files.
"""
import glob
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "image", "oci"))
from archive import Image, Layer, Tree, write  # noqa: E402

CALLED = ["usr/sbin/xtables-legacy-multi", "usr/sbin/xtables-nft-multi", "usr/sbin/ipset",
          "usr/sbin/conntrack", "usr/sbin/nft", "usr/bin/ip"]
CREATED = "1970-01-01T00:00:00Z"


def version_of(module):
    """The version of a module in the go.mod of the folder that builds it."""
    folder = {"k8s.io/kubernetes": "kube", "go.etcd.io/etcd/server/v3": "etcd",
              "github.com/coredns/coredns": "coredns",
              "github.com/cloudnativelabs/kube-router/v2": "kube-router"}[module]
    with open(os.path.join(HERE, folder, "go.mod")) as file:
        return re.search(rf"{re.escape(module)} v(\S+)", file.read()).group(1)


def libraries(rootfs, path):
    found = subprocess.run(["chroot", rootfs, "ldd", "/" + path], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return re.findall(r"/\S+", found.stdout)


def add_called(tree, rootfs):
    """The programs in CALLED and iptables' extensions, their libraries, under merged /usr."""
    extensions = glob.glob(os.path.join(rootfs, "usr/lib/*/xtables/*.so"))
    paths = CALLED + [os.path.relpath(path, rootfs) for path in extensions]
    needed = {library for path in paths for library in libraries(rootfs, path)}
    for path in paths + [library.strip("/") for library in needed]:
        target = path if path.startswith("usr/") else "usr/" + path
        tree.program(target, os.path.join(rootfs, path))
    for folder in ("bin", "sbin", "lib", "lib64"):
        tree.link(folder, "usr/" + folder)
    # kind's entry point chooses the legacy mode in a fresh network namespace: so do these.
    for family in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            tree.link(f"usr/sbin/{family}{suffix}", "xtables-legacy-multi")
    tree.folder("run")
    tree.folder("tmp", 0o1777)


def main():
    programs, rootfs, out = sys.argv[1:]
    tree = Tree()
    add_called(tree, rootfs)
    for name in ("kube", "etcd", "coredns", "kube-router", "pause"):
        tree.program("usr/local/bin/" + name, os.path.join(programs, name))
    kube = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"]
    for name in kube:
        tree.link("usr/local/bin/" + name, "kube")
    layer = Layer(tree, compress=False)

    versions = {name: "v" + version_of("k8s.io/kubernetes") for name in kube}
    versions["etcd"] = version_of("go.etcd.io/etcd/server/v3") + "-0"
    versions["coredns"] = "v" + version_of("github.com/coredns/coredns")
    versions["kube-router"] = "v" + version_of("github.com/cloudnativelabs/kube-router/v2")
    versions["pause"] = "local"
    users = {"coredns": "65532:65532", "pause": "65535:65535"}
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    write(out, [
        Image([f"localhost/kube/{name}:{version}"], [layer], {
            "User": users.get(name, ""),
            "Env": [path],
            "Entrypoint": ["/usr/local/bin/" + name],
        }, CREATED)
        for name, version in versions.items()
    ])


main()
