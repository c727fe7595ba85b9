#!/bin/sh
# symbols.sh - the static library defines only tenrec_* names, and a shared library linked from it exports only those.
#
# Usage: symbols.sh LIBRARY.a [CC]
. "$(dirname "$0")/tree.sh"
library=$1
cc=${2:-cc}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Names of `readelf -sW` that are defined, global and not tenrec_*; the columns are number, value, size, type, binding,
# visibility, section, name. Hidden ones count: a program with a function of the same name would still not link.
strangers() {
    awk '$5 ~ /^(GLOBAL|WEAK|UNIQUE)$/ && $7 != "UND" && $8 !~ /^tenrec_/ { print $8 }' | sort -u
}

readelf -sW "$library" >"$scratch/static" 2>"$scratch/error"
ok 'the library can be read' "$(cat "$scratch/error"; grep -q 'Symbol table' "$scratch/static" || echo 'no symbols')"
ok 'the static library defines only tenrec_*' "$(strangers <"$scratch/static")"
"$cc" -shared -o "$scratch/lib.so" -Wl,--whole-archive "$library" -Wl,--no-whole-archive 2>"$scratch/error"
ok 'it links into a shared library' "$([ -f "$scratch/lib.so" ] || cat "$scratch/error")"
ok 'the shared library exports only tenrec_*' "$(readelf --dyn-syms -W "$scratch/lib.so" 2>/dev/null | strangers)"
finish
