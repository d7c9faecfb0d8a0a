#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs what somebody needs who wants the program with a changed library of the LGPL (2.1, section
6a): our objects, all libraries, the sources of that library and how it is built. The kit links to
the program as it is, bit by bit, or it is not left.

    image/linked/kit.py --program FILE --map FILE --sources FOLDER --out FOLDER -- GCC LINKING...
"""
import argparse
import gzip
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(HERE, "..", "oci"))
import link  # noqa: E402
import parts  # noqa: E402
from archive import Tree  # noqa: E402

README = """{program} with another {name}
========{rule}
{program} is linked statically with {name} {version}, which is under the {licence}.
This kit lets you link it with a {name} that you changed.

    ./relink [OUT]      links objects/ and lib/ as the program was linked; needs `{ld}`
                        (binutils {binutils} gives the same bytes)
    ./rebuild           builds lib/lib{short}.a anew from sources/; needs `{gcc}`, make and
                        the kernel's headers

To change it: unpack the file in sources/, change it, pack it again under the same name;
./rebuild; ./relink. Or put any lib{short}.a with the same interface into lib/.
"""
RELINK = """#!/bin/sh
# Links the program from what is in this folder.
set -eu
out=$(realpath "${{1:-{program}}}")
cd "$(dirname "$0")"
exec "${{LD:-{ld}}}" @link -o "$out"
"""
REBUILD = """#!/bin/sh
# Builds lib/lib{short}.a from sources/, as it was built.
set -eu
cd "$(dirname "$0")"
kit=$(pwd)
export NAME={name} VERSION={version} LIBC=musl JOBS="$(nproc)" TARBALL="$kit/sources/{file}"
export WORK="$kit/work" PREFIX="$kit/made" SYSROOT="$kit"
export CC="{compiler} -specs=$kit/image/musl.specs --sysroot=$kit" CXX=false CROSS="{cross}"
image/package.sh
cp made/lib/lib{short}.a lib/
rm -rf made
"""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def add_headers(tree, folder):
    """A C library's headers, and the links in them to the kernel's."""
    for above, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(above, name)
            inside = "include/" + os.path.relpath(path, folder)
            if os.path.islink(path):
                tree.link(inside, os.readlink(path))
            elif name in files:
                tree.file(inside, read(path))


def kit(options, part, compilers):
    """The files of the kit for one library."""
    tree = Tree()
    gcc = options.command[0]
    machine = [word for word in options.command if word.startswith("-m")]
    libraries = set()
    words = []
    for word in link.arguments(options.command):
        if not word.startswith("-") and os.path.exists(word):
            ours = word.startswith(os.path.dirname(options.map) + "/")
            into = f"{'objects' if ours else 'lib'}/{os.path.basename(word)}"
            tree.file(into, read(word), 0o644)
            libraries.add(word)
            word = into
        words.append(word)
    tree.file("link", ("\n".join(words) + "\n").encode())
    [libc] = [word for word in libraries if word.endswith("/libc.a")]
    add_headers(tree, os.path.join(os.path.dirname(libc), "..", "include"))
    tree.file("sources/" + part.file, read(os.path.join(options.sources, part.file)), 0o644)
    for name, mode in (("package.sh", 0o755), ("musl.specs", 0o644),
                       (f"recipes/{part.name}.sh", 0o644)):
        tree.file("image/" + name, read(os.path.join(parts.IMAGE, name)), mode)
    program = os.path.basename(options.program)
    facts = dict(
        part._asdict(), program=program, short=part.name.removeprefix("lib"),
        rule="=" * len(program + part.name) + "=" * 5,
        gcc=gcc, compiler=" ".join([gcc] + machine), cross=gcc.removesuffix("gcc"),
        ld=gcc.removesuffix("gcc") + "ld",
        binutils=next(compiler.version for name, compiler in compilers.items()
                      if name.startswith("binutils")))
    tree.file("README", README.format(**facts).encode())
    tree.file("relink", RELINK.format(**facts).encode(), 0o755)
    tree.file("rebuild", REBUILD.format(**facts).encode(), 0o755)
    return gzip.compress(tree.tar(), 6, mtime=0)


def relinks(packed, program):
    """Whether it gives the program."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "kit.tar.gz")
        with open(path, "wb") as file:
            file.write(packed)
        subprocess.run(["tar", "-xf", path, "-C", folder], check=True)
        subprocess.run([os.path.join(folder, "relink"), os.path.join(folder, "out")], check=True)
        return read(os.path.join(folder, "out")) == read(program)


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "map", "sources", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    architecture = parts.architecture(options.program)
    compilers = parts.compiler(architecture)
    inside = parts.linked(options.map, os.path.dirname(options.map), compilers)
    [part] = [part for part in inside if part.licence.startswith("LGPL")]
    packed = kit(options, part, compilers)
    if not relinks(packed, options.program):
        sys.exit("relink-kit: what it links is not the program")
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, f"extproc-relink-{architecture}.tar.gz")
    with open(path, "wb") as file:
        file.write(packed)
    print(f"  {path}: {len(packed) / 1e6:.2f} MB, gives the program bit by bit")


main()
