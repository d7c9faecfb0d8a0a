#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Is the program hardened as intended, and does it carry what symbolising needs?
#
#     tests/lint/program.sh PROGRAM
set -u
program=$1
bad=0
headers=$(readelf -lW "$program")
dynamic=$(readelf -dW "$program")
sections=$(readelf -SW "$program")

# check TEXT PATTERN REASON: TEXT has a line that matches; with a `!` before the pattern: it has
# none.
check() {
    case $2 in
    !*) echo "$1" | grep -qE -- "${2#!}" || return 0 ;;
    *) echo "$1" | grep -qE -- "$2" && return 0 ;;
    esac
    echo "$program:1: program: $3. Fix: the link flags in Makefile and image/musl.specs"
    bad=1
}
check "$headers" 'Elf file type is DYN' 'it is not position-independent'
check "$headers" '!INTERP' 'it asks for a dynamic linker'
check "$dynamic" '!NEEDED' 'it needs a shared library'
check "$dynamic" '!TEXTREL' 'its code is relocated at start'
check "$headers" 'GNU_RELRO' 'its relocations stay writable'
check "$dynamic" 'FLAGS_1.*NOW.*PIE' 'it binds lazily'
check "$headers" 'GNU_STACK .* RW ' 'its stack is executable'
check "$headers" '!LOAD .* RWE ' 'memory is writable and executable at once'
check "$headers" 'GNU_EH_FRAME' 'it has no index of its unwind rows: stacks lose the callers of leaves'
check "$sections" 'note.gnu.build-id' 'it has no build id'
check "$sections" '[.]debug_line .* C ' 'it has no compressed line table: profiles lose files and lines'
check "$sections" '[.]symtab ' 'it has no symbol table: assembly functions lose their names'
exit "$bad"
