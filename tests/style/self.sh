#!/bin/sh
# self.sh - shows that every style test passes on a small good tree and fails on each fault that it is there to find.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/tree.sh"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# A tree with nothing wrong: two layers, a public header, a library.
plant() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/src/base" "$tree/src/cli" "$tree/include/tenrec" "$tree/tests" "$tree/build" "$tree/docs"
    printf "foreach folder : ['base',\n  'cli']\nendforeach\n" >"$tree/src/meson.build"
    printf '## 3. The house\n\n  base/      low\n  cli/       high\n' >"$tree/docs/design.md"
    printf '/* low.h - what everything may use. */\n#include <stddef.h>\nsize_t low(void);\n' >"$tree/src/base/low.h"
    printf '/* high.c - what nothing may use. */\n#include "base/low.h"\n' >"$tree/src/cli/high.c"
    printf '/* tenrec.h - the public door. */\nint tenrec_open(int);\n' >"$tree/include/tenrec/tenrec.h"
    printf '/* lib.c - a library of one function. */\nint tenrec_open(int);\nint tenrec_open(int a)\n{ return a; }\n' \
        >"$tree/src/base/lib.c"
    printf '[{\n    "file": "../src/cli/high.c"\n}, {\n    "file": "../src/base/lib.c",\n}]\n' \
        >"$tree/build/compile_commands.json"
}

library() {
    cc -fPIC -c "$tree/src/base/lib.c" -o "$tree/build/lib.o" && rm -f "$tree/build/lib.a" &&
        ar rc "$tree/build/lib.a" "$tree/build/lib.o"
}

run() {
    case $1 in
        symbols) library && sh "$here/symbols.sh" "$tree/build/lib.a" ;;
        *) sh "$here/$1.sh" "$tree" "$tree/build" ;;
    esac
}

good() { ok "$1 passes on a good tree" "$(plant; said=$(run "$1" 2>&1) || printf '%s\n' "$said")"; }

# fault TEST NAME WHAT-IT-MUST-SAY FILE TEXT: appends TEXT to FILE of a good tree; TEST must fail and say so.
fault() {
    plant
    mkdir -p "$(dirname "$tree/$4")"
    printf "$5" >>"$tree/$4"
    said=$(run "$1" 2>&1)
    status=$?
    ok "$1 finds $2" "$(
        [ "$status" != 0 ] || echo "it passed"
        printf '%s\n' "$said" | grep -q "^not ok" || echo "no point failed"
        printf '%s\n' "$said" | grep -q -e "^# .*$3" || printf 'it did not say "%s":\n%s\n' "$3" "$said"
    )"
}

# many N TEXT: the text N times.
many() { awk -v n="$1" -v text="$2" 'BEGIN { while (n-- > 0) printf "%s", text }'; }

for name in layers size lines headers listed; do good $name; done
fault layers 'an include of a higher folder' 'base may not include cli' src/base/low.h '#include "cli/high.h"\n'
fault layers 'an include that is not rooted' 'not rooted' src/base/low.h '#include "../cli/high.h"\n'
fault layers 'an order other than the design' 'cli stands higher' docs/design.md '  base/ again\n'
fault layers 'a folder of no layer' 'new is not in the list' src/new/new.c '/* new.c - of no layer. */\n'
fault size 'a long file' 'high.c: 602 lines' src/cli/high.c "$(many 600 '\\n')"
if command -v ctags >/dev/null; then
    fault size 'a long function' 'long_one: 103 lines' src/cli/high.c "int long_one(void)\n{\n$(many 100 ';\\n')}\n"
fi
fault lines 'a file that does not name itself' 'wrong.h: begin with' src/cli/wrong.h '/* right.h - what it is for. */\n'
fault lines 'a script that does not name itself' 'some.sh: begin with' tests/some.sh '#!/bin/sh\ntrue\n'
fault lines 'a tab' 'high.c:3' src/cli/high.c '\tint a;\n'
fault lines 'a trailing space' 'high.c:3' src/cli/high.c 'int a; \n'
fault lines 'a long line' 'high.c:3: 121' src/cli/high.c "$(many 121 a)\n"
fault lines 'what was left to do' 'high.c:3' src/cli/high.c '/* TO''DO: the rest */\n'
fault headers 'a header that needs another' 'uint8_t' src/base/low.h 'uint8_t byte(void);\n'
fault headers 'a header without a guard' 'redefinition' src/base/low.h 'struct twice { int a; };\n'
fault headers 'a public header that C++ refuses' 'class' include/tenrec/tenrec.h 'int tenrec_of(int class);\n'
fault headers 'a public header that is not C11' 'ISO C' include/tenrec/tenrec.h 'extern int tenrec_none[0];\n'
fault listed 'a file that no list names' 'src/cli/lost.c is in no source list' src/cli/lost.c '/* lost.c - lost. */\n'
if command -v readelf >/dev/null; then
    good symbols
    fault symbols 'an exported internal name' 'map_get' src/base/lib.c 'int map_get;\n'
    fault symbols 'a hidden name that could collide' 'fail' src/base/lib.c \
        '__attribute__((visibility("hidden"))) int fail(void) { return 0; }\n'
fi
finish
