# SPDX-License-Identifier: Apache-2.0
"""Functions of a program that nothing in it refers to. --gc-sections drops a section that nobody
needs; what shares its section with something needed stays, and is found here: by the relocations of
the program, linked once more with --emit-relocs."""
import collections
import re

import elf

HEADING = re.compile(r"Relocation section '\.rela(\S+)'")
RELOCATION = re.compile(
    r"([0-9a-f]+) +[0-9a-f]+ +(R_\S+) +([0-9a-f]+) \S.*?(?: ([+-]) ([0-9a-f]+))?$")
# These count from the end of the four bytes that they fill.
FROM_THE_END = ("R_X86_64_PC32", "R_X86_64_PLT32", "R_X86_64_GOTPCREL", "R_X86_64_GOTPCRELX",
                "R_X86_64_REX_GOTPCRELX")
# Why a function may be there that nobody calls: a pattern of "section name", the reason.
KEPT = (
    (r"google_malloc ", "the allocator has all of its entry points in one section"),
    (r"\.text __wrap_", "it stands in for libc's, whoever calls that"),
    (r"\.text _start$", "the kernel starts it"),
    (r"\.text _start_c$", "_start jumps to it"),
)


def references(path):
    """By address: where something refers to it, from code or data."""
    found, on = collections.defaultdict(set), False
    for line in elf.lines("-rW", path):
        if heading := HEADING.match(line):
            on = not heading[1].startswith((".debug", ".eh_frame", ".dyn"))
        elif on and (row := RELOCATION.match(line)):
            addend = int((row[4] or "") + (row[5] or "0"), 16)
            addend += 4 if row[2] in FROM_THE_END else 0
            found[int(row[3], 16) + addend].add(int(row[1], 16))
    return found


def functions(path):
    """How many there are, and those that nothing outside of themselves refers to, largest first."""
    every = [symbol for symbol in elf.symbols(path) if symbol.is_function]
    referred = references(path)
    return len(every), sorted(
        (symbol for symbol in every
         if all(symbol.address <= place < symbol.address + symbol.size
                for place in referred[symbol.address])),
        reverse=True)


def kept_for(function):
    """The reason, or None."""
    for pattern, reason in KEPT:
        if re.match(pattern, f"{function.section} {function.name}"):
            return reason
    return None
