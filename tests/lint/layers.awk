# SPDX-License-Identifier: Apache-2.0
# Holds the includes of src to the table tests/lint/layers.
#
#     awk -f tests/lint/layers.awk tests/lint/layers src/**/*.[ch]
function folder_of(path) { return path ~ /\// ? substr(path, 1, match(path, /\/[^\/]*$/) - 1) : "." }
function complain(rule, reason, fix) {
    printf "%s:%d: %s: %s. Fix: %s\n", FILENAME, FNR, rule, reason, fix
    bad = 1
}
FILENAME ~ /tests\/lint\/layers$/ {
    if ($0 ~ /^#/ || NF == 0) next
    known[$1] = 1
    for (i = 2; i <= NF; i++) allowed[$1 " " $i] = 1
    next
}
FNR == 1 {
    from = folder_of(substr(FILENAME, 5))
    if (!(from in known)) {
        complain("layers", "the folder src/" from " is not in tests/lint/layers", \
            "add a line that says what it may include")
        nextfile
    }
}
/^#include "/ {
    split($0, part, "\"")
    to = folder_of(part[2])
    if (to == from || (from " " to) in allowed) next
    if (to ~ /^(base|pprof|extproc)/ || to == ".")
        complain("layers", "src/" from " may not include " to " (tests/lint/layers)", \
            "let the layer above hand it over, or move what is needed down to where both may look")
    else
        complain("layers", "\"" part[2] "\" is not a path from src", \
            "write the include as a path from src, like \"base/bytes.h\"")
}
/^#include </ {
    header = $2
    if (header in known && !((header " " from) in allowed))
        complain("layers", header " has another owner (tests/lint/layers)", \
            "call the folder that owns it: third-party conventions stop there")
}
END { exit bad }
