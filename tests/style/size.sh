#!/bin/sh
# size.sh - files stay under 600 lines, functions under 100; prints medians and ninetieth percentiles of both.
. "$(dirname "$0")/tree.sh"

# check WHAT LIMIT: reads `LINES WHERE`, prints the distribution as a comment and fails on what is over the limit.
check() {
    sorted=$(sort -n)
    printf '%s\n' "$sorted" | awk -v what="$1" 'NF { n++; v[n] = $1 } END {
        if (n) printf "# %d %s: median %d lines, p90 %d, longest %d\n", n, what,
            v[int((n + 1) / 2)], v[int((9 * n + 9) / 10)], v[n] }'
    ok "$1 of at most $2 lines" "$(printf '%s\n' "$sorted" |
        awk -v limit="$2" '$1 > limit { print $2 ": " $1 " lines" }')"
}

files=$(find_in src include tests bench -- -name '*.[ch]')
ok 'there are sources' "$([ -n "$files" ] || echo 'none found')"
cd "$root" || exit 1
lines=$(printf '%s\n' "$files" | while read -r file; do [ -z "$file" ] || echo "$(wc -l <"$file") $file"; done)
check files 600 <<EOT
$lines
EOT
if command -v ctags >/dev/null && ctags --version | grep -q Universal; then
    functions=$(printf '%s\n' "$files" | ctags -L - -f - --language-force=C --kinds-C=f --fields=+ne --excmd=number |
        awk -F '\t' '{ line = end = 0
            for (i = 4; i <= NF; i++) { if ($i ~ /^line:/) line = substr($i, 6); if ($i ~ /^end:/) end = substr($i, 5) }
            if (end) print end - line + 1, $2 ":" line ":" $1 }')
    check functions 100 <<EOT
$functions
EOT
else
    skip 'functions of at most 100 lines' 'needs universal-ctags'
fi
finish
