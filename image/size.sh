#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a program is made of.
#
#     image/size.sh PROGRAM MAP    MAP is the linker's map of it
set -eu
program=$1 map=$2

echo "Sections (bytes in the file; those that are loaded first)"
readelf -SW "$program" | awk '
    /^ +\[ *[0-9]+\] [._a-z]/ {
        sub(/^ *\[ *[0-9]+\] /, "")
        # Name Type Address Offset Size EntSize Flags...
        loaded = $7 ~ /A/
        printf "%d %s %s\n", loaded, $1, $2 == "NOBITS" ? "0" : $5
    }' | while read -r loaded name size; do
    printf '%s %10d  %s\n' "$loaded" "0x$size" "$name"
done | sort -k 1,1nr -k 2,2nr |
    awk '$2 > 1000 { printf "%12d  %s%s\n", $2, $3, $1 ? "" : "  (not loaded)" }'

echo
echo "Loaded bytes by origin (code, constants, data; not the zeroed)"
awk '
    /^Linker script and memory map/ { on = 1 }
    !on { next }
    # An output section starts in the first column, an input section in the second; a long name has
    # its own line.
    /^[._a-z]/ { output = $1; held = "" }
    /^ [._a-zA-Z]/ && NF == 1 { held = $1; next }
    /^ +0x/ && held != "" && NF >= 3 { address = $1; size = $2; file = $3; held = ""; take() }
    /^ [._a-zA-Z][^ ]* +0x/ && NF >= 4 { address = $2; size = $3; file = $4; take() }
    function take() {
        if (output ~ /^[.](debug|comment|bss|tbss|symtab|strtab|note)/ || address ~ /^0x0+$/) return
        origin = file
        sub(/[(].*/, "", origin)
        sub(/.*\//, "", origin)
        if (origin == "rcrt1.o") origin = "(unwind tables and relocations of all)"
        if (file ~ /libsrc[.]a|\/main[.]o/) origin = "ours"
        bytes[origin] += hex(substr(size, 3))
    }
    function hex(text,    value, i) {
        for (i = 1; i <= length(text); i++)
            value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
        return value
    }
    END { for (origin in bytes) printf "%12d  %s\n", bytes[origin], origin }' "$map" | sort -rn

echo
echo "Largest functions and tables"
nm -S --size-sort -r -C "$program" | awk '$3 ~ /[tTrRdD]/' | head -n 15 |
    while read -r _ size kind name; do printf '%12d  %s %s\n' "0x$size" "$kind" "$name"; done

echo
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$program"
printf '%12d  the program, debug data inside\n' "$(wc -c < "$program")"
printf '%12d  as gzip -9\n' "$(gzip -9c "$program" | wc -c)"
printf '%12d  as xz -9\n' "$(xz -9c "$program" | wc -c)"
printf '%12d  without symbols and debug data\n' "$(wc -c < "$stripped")"
