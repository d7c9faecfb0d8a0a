# SPDX-License-Identifier: Apache-2.0
"""The parts that a program is made of besides its own source: what the linker's map says is in it,
as the locks describe it."""
import os
import re
import subprocess
import sys
import tarfile
from typing import NamedTuple

import linkmap

IMAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
RUNTIME_LICENCE = "GPL-3.0-or-later WITH GCC-exception-3.1"
LICENCE_FILE = re.compile(r"(COPYING|LICEN[CS]E|COPYRIGHT|AUTHORS)[^/]*$", re.IGNORECASE)


class Part(NamedTuple):
    name: str
    version: str
    file: str       # that it came in: a tarball of sources, or a Debian package
    sha256: str     # of that file; of the compiler's packages only if they are those of the lock
    licence: str    # an SPDX expression
    from_debian: bool  # a binary package, not sources that we build


def rows(name):
    with open(os.path.join(IMAGE, name)) as lock:
        return [line.split() for line in lock if line.strip() and not line.startswith("#")]


def sources():
    """By name: what dependencies.lock has to build in."""
    return {row[0]: Part(row[0], row[1], row[2], row[3], row[4], False)
            for row in rows("dependencies.lock") if row[5] == "debian-source"}


def compiler(machine):
    """What compiler.lock has for a machine, in the versions that are here; a difference is said."""
    found = {}
    for _, name, expected, *sha256 in (row for row in rows("compiler.lock") if row[0] == machine):
        # A package may be there and another gcc be found first.
        command = [name, "-dumpfullversion"] if name.endswith("gcc") else \
            ["dpkg-query", "-W", "-f", "${Version}", name]
        query = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=False)
        version = query.stdout.strip() or "unknown"
        if version != expected:
            print(f"  warning: {name} is {version} here and {expected} in image/compiler.lock:"
                  " the image's digest will be another one", file=sys.stderr)
            sha256 = []
        found[name] = Part(name, version, "", "".join(sha256), RUNTIME_LICENCE, True)
    return found


def linked(path, own, compilers):
    """The parts in the program whose map this is, by name; own: see linkmap.part_of."""
    kept, _ = linkmap.read(path)
    known = {**compilers, **sources()}
    names = {linkmap.part_of(piece, own, compilers) for piece in kept if linkmap.is_loaded(piece)}
    if strangers := names - known.keys() - {linkmap.OURS}:
        raise linkmap.Unknown(f"{', '.join(strangers)}: in the program, and in no lock")
    return [known[name] for name in sorted(names - {linkmap.OURS})]


def architecture(program):
    """From the machine field of the ELF header."""
    with open(program, "rb") as file:
        header = file.read(20)
    machine = int.from_bytes(header[18:20], "little")
    return {62: "amd64", 183: "arm64"}[machine]


def expression(licences):
    """All of these licences at once, as SPDX writes it."""
    return " AND ".join(sorted(set(licences)))


def licence_files(part, folder):
    """Names and texts of the licence files at the top of a part's tarball."""
    texts = {}
    with tarfile.open(os.path.join(folder, part.file)) as tar:
        for member in tar:
            above, _, file = member.name.removeprefix("./").rpartition("/")
            if member.isfile() and "/" not in above and LICENCE_FILE.match(file):
                texts[file] = tar.extractfile(member).read()
    if not texts:
        sys.exit(f"image: no licence file in {part.file}")
    return texts
