# SPDX-License-Identifier: Apache-2.0
"""What readelf says of a program, of any architecture."""
import re
import subprocess
from typing import NamedTuple

SECTION = re.compile(
    r" +\[ *(\d+)\] (\S+) +(\S+) +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) \S+ +([A-Za-z]*)")


class Section(NamedTuple):
    name: str
    size: int  # bytes in the file
    is_loaded: bool


class Symbol(NamedTuple):
    size: int
    name: str
    section: str
    address: int
    is_function: bool


def lines(flags, path):
    return subprocess.run(["readelf", flags, path], text=True, check=True,
                          stdout=subprocess.PIPE).stdout.splitlines()


def sections(path):
    """By their number, as a text."""
    rows = filter(None, map(SECTION.match, lines("-SW", path)))
    return {row[1]: Section(row[2], 0 if row[3] == "NOBITS" else int(row[4], 16), "A" in row[5])
            for row in rows}


def symbols(path):
    """Functions and objects that have a size, one name each."""
    places, found = sections(path), {}
    for row in (line.split(None, 7) for line in lines("-sWC", path)):
        if len(row) == 8 and row[3] in ("FUNC", "OBJECT") and row[6] in places and int(row[2], 0):
            symbol = Symbol(int(row[2], 0), row[7], places[row[6]].name, int(row[1], 16),
                            row[3] == "FUNC")
            found.setdefault(symbol.address, symbol)
    return list(found.values())
