# SPDX-License-Identifier: Apache-2.0
"""What the linker put into a program and what it left out, as its map tells it: piece by piece,
each with the part (a name of dependencies.lock or compiler.lock) that it comes from."""
import functools
import os
import re
from typing import NamedTuple

OURS = "ours"
PIECE = re.compile(r"^ +(?:(\S+) +)?0x([0-9a-f]{16}) +0x([0-9a-f]+) (\S+\.l?o\)?)$")
COMPILER = re.compile(r"^/.*/gcc(-cross)?/[^/]+/[0-9]+/")
# The recipe of google-perftools takes members of the C++ library into its archive, so named.
TAKEN = "libstdc++-"


class Unknown(Exception):
    """Something is in the program that no lock names."""


class Piece(NamedTuple):
    output: str   # section of the program
    input: str    # section of the object
    size: int     # bytes, before compression
    archive: str  # or object, as the linker was given it
    member: str   # of the archive; else empty


def read(path):
    """The pieces that are in the program, and those that were left out since nothing needs them."""
    kept, dropped = [], []
    into, output, name = None, "", ""
    with open(path) as lines:
        for line in lines:
            line = line.rstrip("\n")
            if line == "Discarded input sections":
                into = dropped
            elif line == "Linker script and memory map":
                into = kept
            elif into is None:
                continue
            elif re.match(r"[._a-z/]", line):
                output = line.split()[0]
            elif re.fullmatch(r" [._a-zA-Z]\S+", line):
                name = line.strip()  # a long one has its own line
            elif found := PIECE.match(line):
                archive, _, member = found[4].partition("(")
                piece = Piece(output, found[1] or name, int(found[3], 16), archive,
                              member.rstrip(")"))
                if piece.size and output != "/DISCARD/":
                    into.append(piece)
    return kept, dropped


def is_loaded(piece):
    return not piece.output.startswith((".debug", ".comment", ".symtab", ".strtab"))


@functools.cache
def files_of(sysroot):
    """By the path in the sysroot: the package that brought the file (sysroot.sh writes this)."""
    try:
        with open(os.path.join(sysroot, "parts")) as lines:
            return {file: part for part, file in map(str.split, lines)}
    except FileNotFoundError:
        return {}


def part_of(piece, own, compiler):
    """The part that a piece comes from. `own` is the folder of our objects ("" for any relative
    one), `compiler` the packages of the one that built it."""
    begin = "libgcc-" if COMPILER.match(piece.archive) else \
        "libstdc++-" if piece.member.startswith(TAKEN) else None
    for name in compiler if begin else ():
        if name.startswith(begin):
            return name
    folder, file = os.path.split(piece.archive)
    part = files_of(os.path.dirname(folder)).get("lib/" + file)
    if part:
        return part
    if not piece.archive.startswith("/") if own == "" else piece.archive.startswith(own + "/"):
        return OURS
    name = f"{piece.archive}({piece.member})" if piece.member else piece.archive
    raise Unknown(f"{name} is in the program, and neither image/dependencies.lock nor"
                  " image/compiler.lock names it. Fix: a row there, or leave it out")
