#!/bin/sh
# listed.sh - every .c file of src/ and tests/ is compiled: one that no source list names would be lost in silence.
#
# Usage: listed.sh ROOT BUILD [PREFIX ...]; what begins with one of the prefixes is left out of this build on purpose.
. "$(dirname "$0")/tree.sh"
build=$2
shift 2

compiled=$(sed -n 's/^ *"file": "\(.*\)",*$/\1/p' "$build/compile_commands.json")
ok 'the build says what it compiles' "$([ -n "$compiled" ] || echo "nothing in $build/compile_commands.json")"
base=$(cd "$root" && pwd)
# Meson names sources relative to the build folder; both ends are made absolute before they are compared.
known=$(cd "$build" && printf '%s\n' "$compiled" | xargs realpath -m --)
for folder in src tests; do
    ok "every file of $folder/ is compiled" "$(find_in $folder -- -name '*.c' | while read -r file; do
        for prefix; do case $file in "$prefix"*) continue 2 ;; esac; done
        echo "$base/$file"
    done | grep -vxF "$known" | sed 's/$/ is in no source list/')"
done
finish
