# SPDX-License-Identifier: Apache-2.0
# Finds calls of the functions in tests/lint/banned. Comments and string literals are not looked at.
#
#     awk -f tests/lint/banned.awk tests/lint/banned FILE...
FILENAME ~ /tests\/lint\/banned$/ {
    if ($0 ~ /^#/ || NF == 0) next
    split($0, column, "\t")
    count = split(column[1], name, "|")
    for (i = 1; i <= count; i++) { reason[name[i]] = column[2]; fix[name[i]] = column[3] }
    next
}
{
    line = $0
    gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
    sub(/\/\/.*/, "", line)
    while (match(line, /[A-Za-z_][A-Za-z0-9_]*\(/)) {
        called = substr(line, RSTART, RLENGTH - 1)
        before = RSTART > 1 ? substr(line, RSTART - 1, 1) : ""
        line = substr(line, RSTART + RLENGTH)
        if (!(called in reason) || before == "." || before == ">") continue
        printf "%s:%d: banned: %s %s. Fix: %s\n", FILENAME, FNR, called, reason[called], fix[called]
        bad = 1
    }
}
/NEEDSWORK|TODO|FIXME|XXX/ {
    if ($0 ~ /NEEDSWORK: ./) next
    printf "%s:%d: banned: a note without a decision. Fix: do it, or write " \
        "`NEEDSWORK: <decision to take>`\n", FILENAME, FNR
    bad = 1
}
END { exit bad }
