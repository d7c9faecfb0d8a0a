# SPDX-License-Identifier: Apache-2.0
# Reads `go test -json`: tests that failed with what they printed and how to run them again (to
# standard error), one line for each package, and at the end "passed failed" (to standard output). A
# test with subtests counts as its subtests.
function field(line, name,    at, rest) {
    at = index(line, "\"" name "\":\"")
    if (at == 0) return ""
    rest = substr(line, at + length(name) + 4)
    match(rest, /^([^"\\]|\\.)*/)
    return substr(rest, 1, RLENGTH)
}
function unescape(text) {
    gsub(/\\n/, "\n", text); gsub(/\\t/, "\t", text); gsub(/\\"/, "\"", text)
    gsub(/\\u003c/, "<", text); gsub(/\\u003e/, ">", text); gsub(/\\u0026/, "\\&", text)
    gsub(/\\\\/, "\\", text)
    return text
}
{
    action = field($0, "Action"); package = field($0, "Package"); test = field($0, "Test")
    if (package == "") package = field($0, "ImportPath")
    key = package " " test
    if (action == "output") printed[key] = printed[key] unescape(field($0, "Output"))
    if (action == "build-output") printf "%s", unescape(field($0, "Output")) > "/dev/stderr"
    if (action != "pass" && action != "fail" && action != "skip") next
    if (test == "") {
        seconds = $0; sub(/.*"Elapsed":/, "", seconds); sub(/[,}].*/, "", seconds)
        if (action != "skip") printf "  %s: %s in %s s\n", package, action, seconds > "/dev/stderr"
        if (action == "fail" && !(package in failures)) {
            # It did not build, or ended before its tests did.
            printf "%s", printed[key] > "/dev/stderr"
            failed++
        }
        next
    }
    outcome[key] = action
    if (action == "fail") failures[package] = 1
    parent = test
    while (sub(/\/[^\/]*$/, "", parent)) has_parts[package " " parent] = 1
}
END {
    for (key in outcome) {
        if (key in has_parts) {
            # Its parts count; but it can also fail by itself.
            if (outcome[key] != "fail") continue
            by_itself = 1
            for (other in outcome)
                if (index(other, key "/") == 1 && outcome[other] == "fail") by_itself = 0
            if (!by_itself) continue
        }
        if (outcome[key] == "pass") passed++
        if (outcome[key] == "skip") skipped++
        if (outcome[key] != "fail") continue
        failed++
        split(key, part, " ")
        folder = part[1]; sub(/^[^\/]*\/[^\/]*/, ".", folder)
        again = module == "" ? "test-go G=" folder : "test-" module
        printf "\n%s: failed\n%sagain: make %s RUN='^%s$'\n", key, printed[key], again, part[2] > "/dev/stderr"
    }
    if (skipped) printf "  %d skipped\n", skipped > "/dev/stderr"
    print passed + 0, failed + 0
}
