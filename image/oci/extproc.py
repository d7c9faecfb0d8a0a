#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Assembles the image of the program, and its debug twin: the same layers and a shell.

    image/oci/extproc.py --program build/extproc --busybox build/busybox
        --sources CACHE/sources --name localhost/envoy-ai-gateway/extproc --version 1.0
        [--revision COMMIT] --out build/image

Prints name, size and digest of each. SOURCE_DATE_EPOCH dates everything; without it, 1970.
"""
import argparse
import datetime
import os
import re
import subprocess
import sys
import tarfile

sys.dont_write_bytecode = True
from archive import Image, Layer, Tree, write  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK = os.path.join(HERE, "..", "dependencies.lock")
COMPILER_LOCK = os.path.join(HERE, "..", "compiler.lock")
USER = 65532
NOT_LINKED = {"cmocka", "busybox"}
LICENCE_FILE = re.compile(r"(COPYING|LICEN[CS]E|COPYRIGHT|AUTHORS)[^/]*$", re.IGNORECASE)
TITLE = "extproc"
DESCRIPTION = "An external processor for Envoy, with profiling that Go's tools understand"


def lock_rows(path):
    with open(path) as lock:
        return [line.split() for line in lock if line.strip() and not line.startswith("#")]


def linked_parts():
    return [row for row in lock_rows(LOCK)
            if row[5] == "debian-source" and row[0] not in NOT_LINKED]


def compiler_parts():
    """What of the compiler ends up in the program, as this machine has it; a difference is said."""
    found = []
    for name, expected in lock_rows(COMPILER_LOCK):
        # A package may be there and another gcc be found first.
        command = ["gcc", "-dumpfullversion"] if name == "gcc" else \
            ["dpkg-query", "-W", "-f", "${Version}", name]
        query = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=False)
        version = query.stdout.strip() or "unknown"
        found.append((name, version))
        if version != expected:
            print(f"  warning: {name} is {version} here and {expected} in image/compiler.lock:"
                  " the image's digest will be another one", file=sys.stderr)
    return found


def licences(tree, sources, row):
    """The licence files at the top of a part's tarball, at /licenses/NAME/."""
    name, tarball = row[0], os.path.join(sources, row[2])
    kept = 0
    with tarfile.open(tarball) as tar:
        for member in tar:
            folder, _, file = member.name.removeprefix("./").rpartition("/")
            if member.isfile() and "/" not in folder and LICENCE_FILE.match(file):
                tree.file(f"licenses/{name}/{file}", tar.extractfile(member).read())
                kept += 1
    if kept == 0:
        sys.exit(f"image: no licence file in {row[2]}")


def product_tree(options, mtime, compiler):
    tree = Tree(owner=USER, mtime=mtime)
    tree.program("extproc", options.program)
    for name in ("passwd", "group"):
        with open(os.path.join(HERE, name), "rb") as file:
            tree.file("etc/" + name, file.read())
    tree.file("etc/os-release", (
        f'ID={TITLE}\nNAME="{TITLE}"\nPRETTY_NAME="{TITLE} {options.version}"\n'
        f'VERSION_ID="{options.version}"\n').encode())
    with open(os.path.join(HERE, "..", "..", "LICENSE"), "rb") as file:
        tree.file("licenses/LICENSE", file.read())
    made_of = ["# What the program is made of besides its own source.",
               "# Sources: name, version, sha256 of the tarball, licence."]
    for row in linked_parts():
        licences(tree, options.sources, row)
        made_of.append(f"{row[0]} {row[1]} {row[3]} {row[4]}")
    made_of.append("# The compiler, whose runtime is linked in (GPL-3.0-or-later WITH"
                   " GCC-exception-3.1): Debian package, version.")
    made_of += [f"{name} {version}" for name, version in compiler]
    tree.file("licenses/PARTS", ("\n".join(made_of) + "\n").encode())
    return tree


def busybox_tree(options, mtime):
    tree = Tree(owner=USER, mtime=mtime)
    tree.program("busybox/busybox", os.path.join(options.busybox, "busybox"))
    with open(os.path.join(options.busybox, "applets")) as applets:
        for name in applets.read().split():
            if name != "busybox":
                tree.link("busybox/" + name, "busybox")
    row = next(row for row in lock_rows(LOCK) if row[0] == "busybox")
    licences(tree, options.sources, row)
    return tree


def architecture(program):
    """From the machine field of the ELF header."""
    with open(program, "rb") as file:
        header = file.read(20)
    machine = int.from_bytes(header[18:20], "little")
    return {62: "amd64", 183: "arm64"}[machine]


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "busybox", "sources", "name", "version", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--revision", default="")
    options = parser.parse_args()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    created = created.strftime("%Y-%m-%dT%H:%M:%SZ")

    compiler = compiler_parts()
    labels = {
        "extproc.compiler": ", ".join(f"{name} {version}" for name, version in compiler),
        "org.opencontainers.image.title": TITLE,
        "org.opencontainers.image.description": DESCRIPTION,
        "org.opencontainers.image.version": options.version,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.licenses": "Apache-2.0 AND " + " AND ".join(
            sorted({row[4] for row in linked_parts()} - {"Apache-2.0"})),
    }
    if options.revision:
        labels["org.opencontainers.image.revision"] = options.revision
    config = {
        "User": f"{USER}:{USER}",
        "Entrypoint": ["/extproc"],
        "WorkingDir": "/",
        "ExposedPorts": {"1063/tcp": {}, "1064/tcp": {}, "6060/tcp": {}},
        "Labels": labels,
    }
    debug = dict(config, Env=["PATH=/busybox"], Labels=dict(labels, **{
        "org.opencontainers.image.title": TITLE + " with a shell",
        "org.opencontainers.image.licenses": labels["org.opencontainers.image.licenses"]
        + " AND GPL-2.0-only",
    }))
    product = Layer(product_tree(options, epoch, compiler))
    shell = Layer(busybox_tree(options, epoch))
    machine = architecture(options.program)
    os.makedirs(options.out, exist_ok=True)
    for file, suffix, layers, settings in (
            ("extproc.tar", "", [product], config),
            ("extproc-debug.tar", "-debug", [product, shell], debug)):
        path = os.path.join(options.out, file)
        name = f"{options.name}:{options.version}{suffix}"
        [manifest] = write(path + ".new", [Image([name], layers, settings, created, machine)])
        os.rename(path + ".new", path)
        size = sum(len(layer.blob) for layer in layers)
        print(f"  {path}: {name}, {size / 1e6:.2f} MB compressed, {manifest}")


main()
