# count-tests.awk - counts TAP points in Meson's testlog.json files; the number `broken` of builds counts as failed.
#
# A test that ends badly without a point that failed (a crash, a timeout, a plan not kept) is one failure; a test that
# speaks no TAP is one point. What failed tests said, points that passed left out, goes before the last line.
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

/^\{/ {
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
    printf "%d passed, %d failed", passed, failed
    if (skipped) printf ", %d skipped", skipped
    print ""
    exit failed > 0 || passed == 0
}
