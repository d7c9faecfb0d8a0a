#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Assembles the image of the program, and its debug twin: the same layers and a shell. Each has
the bills of materials of its programs, which are left beside the images too.

    image/oci/extproc.py --program build/extproc --map build/release/extproc.map
        --busybox build/busybox --sources CACHE/sources --name localhost/envoy-ai-gateway/extproc --version 1.0
        [--revision COMMIT] --out build/image

Prints name, size and digest of each. SOURCE_DATE_EPOCH dates everything; without it, 1970.
"""
import argparse
import datetime
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(HERE, "..", "linked"))
import linkmap  # noqa: E402
import parts  # noqa: E402
import sbom  # noqa: E402
from archive import Image, Layer, Tree, write  # noqa: E402

USER = 65532
TITLE = "extproc"
LICENCE = "Apache-2.0"
DESCRIPTION = "An external processor for Envoy, with profiling that Go's tools understand"
# Where apko and its scanners have it; others look for *.spdx.json anywhere.
BILLS = "var/lib/db/sbom/"


def licences(tree, part, folder):
    """The texts, at /licenses/NAME/. Those of the compiler's runtime need not come along: its
    exception lets what is built with it have any terms."""
    if not part.from_debian:
        for file, text in parts.licence_files(part, folder).items():
            tree.file(f"licenses/{part.name}/{file}", text)


def product_tree(options, mtime, inside, bill):
    tree = Tree(mtime=mtime)
    tree.program("extproc", options.program)
    for name in ("passwd", "group"):
        with open(os.path.join(HERE, name), "rb") as file:
            tree.file("etc/" + name, file.read())
    tree.file("etc/os-release", (
        f'ID={TITLE}\nNAME="{TITLE}"\nPRETTY_NAME="{TITLE} {options.version}"\n'
        f'VERSION_ID="{options.version}"\n').encode())
    with open(os.path.join(HERE, "..", "..", "LICENSE"), "rb") as file:
        tree.file("licenses/LICENSE", file.read())
    for part in inside:
        licences(tree, part, options.sources)
    tree.file(f"{BILLS}extproc.spdx.json", bill)
    return tree


def busybox_tree(options, mtime, bill):
    tree = Tree(mtime=mtime)
    tree.program("busybox/busybox", os.path.join(options.busybox, "busybox"))
    with open(os.path.join(options.busybox, "applets")) as applets:
        for name in applets.read().split():
            if name != "busybox":
                tree.link("busybox/" + name, "busybox")
    licences(tree, parts.sources()["busybox"], options.sources)
    tree.file(f"{BILLS}busybox.spdx.json", bill)
    return tree


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "map", "busybox", "sources", "name", "version", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--revision", default="")
    options = parser.parse_args()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    created = created.strftime("%Y-%m-%dT%H:%M:%SZ")

    machine = parts.architecture(options.program)
    compiler = parts.compiler(machine)
    try:
        inside = parts.linked(options.map, os.path.dirname(options.map), compiler)
        inside_shell = parts.linked(os.path.join(options.busybox, "map"), "", compiler)
    except linkmap.Unknown as stranger:
        sys.exit(f"image: {stranger}")
    bill = sbom.of_program(TITLE, options.version, options.program, "extproc", LICENCE, inside,
                           machine, created)
    busybox = parts.sources()["busybox"]
    shell_bill = sbom.of_program(
        busybox.name, busybox.version, os.path.join(options.busybox, "busybox"), "busybox/busybox",
        busybox.licence, inside_shell, machine, created)
    labels = {
        "extproc.compiler": ", ".join(f"{part.name} {part.version}" for part in compiler.values()),
        "org.opencontainers.image.title": TITLE,
        "org.opencontainers.image.description": DESCRIPTION,
        "org.opencontainers.image.version": options.version,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.licenses": parts.expression(
            [LICENCE] + [part.licence for part in inside]),
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
        "org.opencontainers.image.licenses": parts.expression(
            [LICENCE, busybox.licence] + [part.licence for part in inside + inside_shell]),
    }))
    product = Layer(product_tree(options, epoch, inside, bill))
    shell = Layer(busybox_tree(options, epoch, shell_bill))
    os.makedirs(options.out, exist_ok=True)
    for name, data in ((TITLE, bill), (busybox.name, shell_bill)):
        with open(os.path.join(options.out, f"{name}-{machine}.spdx.json"), "wb") as file:
            file.write(data)
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
