#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What takes the bytes of the program: by section, by part, by function; and what nobody calls.

    image/linked/size.py --program FILE --map FILE -- GCC LINKING...

Fails if a function is linked that nothing refers to, but for those that are kept on purpose.
"""
import argparse
import collections
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import elf  # noqa: E402
import link  # noqa: E402
import linkmap  # noqa: E402
import parts  # noqa: E402
import uncalled  # noqa: E402

# Made from all pieces, which the map books to the first.
OF_ALL = {".eh_frame": "unwind rows", ".eh_frame_hdr": "unwind rows", ".rela.dyn": "relocations",
          ".symtab": "symbol table", ".strtab": "symbol table"}
COLUMNS = ("code", "constants", "data", "zeroed", "debug", "left out")


def row_of(piece, own, compilers):
    """The part, and of ours the folder."""
    part = linkmap.part_of(piece, own, compilers)
    if part != linkmap.OURS:
        return part
    path = os.path.dirname((piece.member or piece.archive).removeprefix(own + "/"))
    return "/".join(path.split("/")[:3 if path.startswith("gen/") else 2])


def column_of(piece):
    if piece.output.startswith(".debug"):
        return "debug"
    if piece.output in (".bss", ".tbss"):
        return "zeroed"
    if piece.output.startswith((".text", "google_malloc", ".init", ".fini", ".plt")):
        return "constants" if "array" in piece.output else "code"
    return "constants" if piece.output in (".rodata", ".data.rel.ro") else "data"


def table(options, in_file):
    compilers = parts.compiler(parts.architecture(options.program))
    own = os.path.dirname(options.map)
    kept, dropped = linkmap.read(options.map)
    rows = collections.defaultdict(collections.Counter)
    for piece in kept:
        if piece.output not in OF_ALL and not piece.output.startswith((".comment", ".note")):
            rows[row_of(piece, own, compilers)][column_of(piece)] += piece.size
    for piece in dropped:
        if linkmap.is_loaded(piece) and not piece.input.startswith((".debug", ".comment", ".note")):
            rows[row_of(piece, own, compilers)]["left out"] += piece.size
    # It is compressed as a whole: each has its share.
    debug = sum(row["debug"] for row in rows.values())
    compressed = sum(section.size for section in in_file if section.name.startswith(".debug"))
    for row in rows.values():
        row["debug"] = round(row["debug"] * compressed / debug) if debug else 0
    for section in in_file:
        if name := OF_ALL.get(section.name):
            rows[f"({name} of all)"]["constants" if section.is_loaded else "debug"] += section.size
    return rows


def print_table(rows, whole):
    print(f"{'':<30}" + "".join(f"{name:>11}" for name in COLUMNS) + f"{'in the file':>13}")
    total = collections.Counter()

    def weight(row):
        return sum(row[name] for name in COLUMNS[:3]) + row["debug"]
    for name, row in sorted(rows.items(), key=lambda item: -weight(item[1])):
        print(f"{name:<30}" + "".join(f"{row[column]:>11}" for column in COLUMNS)
              + f"{weight(row):>13}")
        total.update(row)
    gaps = whole - weight(total)
    print(f"{'(headers and gaps)':<30}{'':>{11 * len(COLUMNS)}}{gaps:>13}")
    print(f"{'in all':<30}" + "".join(f"{total[name]:>11}" for name in COLUMNS) + f"{whole:>13}")
    print("debug: compressed as a whole, each part's share; left out: by --gc-sections")


def print_largest(program):
    print("\nLargest functions and tables")
    in_file = [symbol for symbol in elf.symbols(program) if "bss" not in symbol.section]
    for symbol in sorted(in_file, reverse=True)[:15]:
        print(f"{symbol.size:>12}  {symbol.name}")


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "map"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    in_file = list(elf.sections(options.program).values())
    print("Sections (bytes in the file)")
    for section in sorted(in_file, key=lambda section: -section.size):
        if section.size > 1000:
            loaded = "" if section.is_loaded else "  (not loaded)"
            print(f"{section.size:>12}  {section.name}{loaded}")
    print("\nParts (bytes)")
    print_table(table(options, in_file), os.path.getsize(options.program))
    print_largest(options.program)

    with tempfile.TemporaryDirectory() as folder:
        again = os.path.join(folder, "program")
        subprocess.run([link.linker(options.command)] + link.arguments(options.command)
                       + ["--emit-relocs", "-o", again], check=True)
        count, found = uncalled.functions(again)
    print(f"\nFunctions that nothing refers to, of {count}")
    unwanted = 0
    for function in found:
        reason = uncalled.kept_for(function)
        unwanted += not reason
        print(f"{function.size:>12}  {function.name}  ({reason or 'not wanted'})")
    if unwanted:
        sys.exit("size: functions are linked that nobody calls. Fix: leave them out, or say in"
                 " image/linked/uncalled.py why they are kept")


main()
