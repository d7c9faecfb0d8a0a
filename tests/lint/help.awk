# SPDX-License-Identifier: Apache-2.0
# Prints what the makefiles offer. `##@ Group` opens a group, `## Text` above a target is its help,
# `#@ NAME=  text` is a knob.
BEGIN {
    group_count = split("Start here|Build|Test|Measure|Check|Change|Clean", groups, "|")
    for (i in groups) known[groups[i]] = 1
}
/^##@ / {
    group = substr($0, 5)
    if (!(group in known)) groups[++group_count] = group
    known[group] = 1
    next
}
/^## / { text = text == "" ? substr($0, 4) : text "\n" substr($0, 4); next }
/^#@ / { knobs = knobs "  " substr($0, 6) "\n"; next }
/^\.PHONY:/ { next }
/^[a-z][a-z0-9._-]*:/ && text != "" {
    target = $1
    sub(/:.*/, "", target)
    lines = split(text, line, "\n")
    rows[group] = rows[group] sprintf("  %-22s %s\n", target, line[1])
    for (i = 2; i <= lines; i++) rows[group] = rows[group] sprintf("  %-22s %s\n", "", line[i])
}
{ text = "" }
END {
    for (i = 1; i <= group_count; i++)
        if (groups[i] in rows) printf "%s\n%s\n", groups[i], rows[groups[i]]
    printf "Knobs\n%s", knobs
}
