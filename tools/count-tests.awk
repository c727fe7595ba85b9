# count-tests.awk - counts TAP points in Meson's testlog.json files; the number `broken` of builds counts as failed.
#
# A test that ends badly without a point that failed (a crash, a timeout, a plan not kept) is one failure; a test that
# speaks no TAP is one point. What failed tests said, points that passed left out, goes before the last line, and so
# does one table of the lines "# family: NAME OPERATORS PASSED FAILED ERROR" that the tests of the first file print.
# Exits 1 when anything failed.

# The text of a string field, escapes left as they are.
function field(line, name,    at, rest) {
    at = index(line, "\"" name "\": \"")
    if (!at) return ""
    rest = substr(line, at + length(name) + 5)
    match(rest, /^([^"\\]|\\.)*/)
    return substr(rest, 1, RLENGTH)
}

# What a failed test said: Meson shows a test's standard error, but TAP comes on standard output.
function explain(name, result, out,    lines, n, i) {
    printf "-- %s: %s\n", name, result
    n = split(out, lines, /\\n/)
    for (i = 1; i <= n; i++) {
        gsub(/\\"/, "\"", lines[i])
        if (lines[i] != "" && lines[i] !~ /^(ok|1\.\.)/) print lines[i]
    }
}

function count_points(out,    lines, n, i) {
    n = split(out, lines, /\\n/)
    for (i = 1; i <= n; i++) {
        if (lines[i] ~ /^not ok/) bad++
        else if (lines[i] ~ /^ok/) lines[i] ~ /# [Ss][Kk][Ii][Pp]/ ? skipped++ : good++
        else if (lines[i] ~ /^1\.\.0/) skipped++
    }
}

# Adds up what one test says of a family of operators; errors are the largest.
function count_families(out,    lines, n, i, v) {
    n = split(out, lines, /\\n/)
    for (i = 1; i <= n; i++) {
        if (lines[i] !~ /^# family: [a-z_]+ /) continue
        split(lines[i], v, / +/)
        if (!(v[3] in family_size)) family_name[++families] = v[3]
        family_size[v[3]] = v[4]
        family_passed[v[3]] += v[5]
        family_failed[v[3]] += v[6]
        if (v[7] + 0 > family_error[v[3]] + 0) family_error[v[3]] = v[7]
    }
}

function print_families(    i, name) {
    if (!families) return
    printf "%-16s %9s %7s %7s %11s\n", "family", "operators", "passed", "failed", "worst error"
    for (i = 1; i <= families; i++) {
        name = family_name[i]
        printf "%-16s %9d %7d %7d %11s\n", name, family_size[name], family_passed[name], family_failed[name],
            family_error[name] + 0 ? family_error[name] : "0"
        family_size[""] += family_size[name]
        family_passed[""] += family_passed[name]
        family_failed[""] += family_failed[name]
    }
    printf "%-16s %9d %7d %7d\n\n", "all", family_size[""], family_passed[""], family_failed[""]
}

/^\{/ {
    if (!first) first = FILENAME
    if (FILENAME == first) count_families(field($0, "stdout"))
    result = field($0, "result")
    good = bad = 0
    before = skipped
    count_points(field($0, "stdout"))
    ended_well = result == "OK" || result == "SKIP" || result == "EXPECTEDFAIL"
    if (!ended_well && !bad) bad = 1
    if (bad) explain(field($0, "name"), result, field($0, "stdout"))
    if (result == "OK" && good + bad == 0 && skipped == before) good = 1
    if (result == "SKIP" && skipped == before) skipped++
    passed += good
    failed += bad
}

END {
    failed += broken
    print_families()
    printf "%d passed, %d failed", passed, failed
    if (skipped) printf ", %d skipped", skipped
    print ""
    exit failed > 0 || passed == 0
}
