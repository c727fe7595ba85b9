#!/bin/sh
# lines.sh - every source names itself and its purpose first; no tabs, no trailing spaces, no long lines, nothing to do.
. "$(dirname "$0")/tree.sh"

sources=$(find_in src include tests bench tools .ci -- \( -name '*.[ch]' -o -name '*.sh' -o -name '*.awk' \
    -o -name '*.py' -o -path .ci/run \))
all="$sources $(find_in src tests bench -- -name meson.build) $(cd "$root" && ls meson.build 2>/dev/null)"

# each AWK-PROGRAM FILE ...: runs the program over every file; `name` is the file's own, `file` its path.
each() {
    program=$1
    shift
    (cd "$root" && awk 'FNR == 1 { file = name = FILENAME; sub(/.*\//, "", name) }'"$program" "$@")
}

ok 'there are sources' "$([ -n "$sources" ] || echo 'none found')"
ok 'the first line names the file and says its purpose' "$(each '
    FNR == 1 && /^#!/ { next }
    { start = name ~ /\.[ch]$/ ? "/* " : name ~ /\.py$/ ? "\"\"\"" : "# "
      start = start name " - "
      if (substr($0, 1, length(start)) != start || length($0) < length(start) + 8)
          print file ": begin with `" start "what it is for.`"
      nextfile }' $sources)"
ok 'no tabs' "$(each '/\t/ { print file ":" FNR }' $all)"
ok 'no trailing spaces' "$(each '/[ \r]$/ { print file ":" FNR }' $all)"
ok 'no line over 120 columns' "$(each 'length($0) > 120 { print file ":" FNR ": " length($0) }' $sources)"
ok 'nothing is left to do' "$(each '
    /(^|[^A-Za-z_])(TO[D]O|FIX[M]E|X[X]X)([^A-Za-z_]|$)/ { print file ":" FNR ": " $0 }' $all)"
ok 'names of files have no spaces' "$(find_in src include tests bench tools -- -name '* *')"
finish
