#!/bin/sh
# test.sh - every build that must work, with its tests; the last line is `N passed, N failed`, the status agrees.
#
# Release with gcc runs everything; then everything but the style tests under AddressSanitizer and UBSan; then clang
# compiles without a warning; then the unit tests without oneDNN. The four folders are build-gcc, -asan, -clang, -plain.
set -u
cd "$(dirname "$0")/.."
mkdir -p build
broken=0
logs=

step() { printf '\n== %s\n' "$1"; }

# compile NAME [MESON OPTION ...]: a build that fails counts as one failed test.
compile() {
    folder=build-$1
    shift
    tools/build.sh "$folder" "$@" && return
    broken=$((broken + 1))
    return 1
}

# run NAME [MESON TEST OPTION ...]: all tests of that build; what they said is counted at the end.
run() {
    folder=build-$1
    shift
    rm -f "$folder/meson-logs/testlog.json"
    meson test -C "$folder" --no-rebuild --print-errorlogs ${JOBS:+--num-processes "$JOBS"} "$@" || status=1
    if [ -f "$folder/meson-logs/testlog.json" ]; then
        logs="$logs $folder/meson-logs/testlog.json"
    else
        broken=$((broken + 1))
    fi
}

status=0
step 'gcc, release: all tests'
CC=gcc compile gcc -Dwerror=true && run gcc
step 'gcc, AddressSanitizer and UndefinedBehaviorSanitizer: all tests but style'
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
CC=gcc compile asan -Dwerror=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined &&
    run asan --no-suite style --timeout-multiplier 4
step 'clang: compiles without a warning'
CC=clang-14 compile clang -Dwerror=true
step 'gcc without oneDNN: unit tests'
CC=gcc compile plain -Dwerror=true -Ddnnl=disabled && run plain --suite unit

printf '\n'
size build-gcc/libtenrec-inner.a.p/src_ops_*.o 2>/dev/null |
    awk 'NR > 1 { code += $1 } END { if (code) printf "code of src/ops: %d KiB\n", code / 1024 }'
[ "$broken" = 0 ] || { echo "$broken build(s) failed" >&2; status=1; }
awk -v broken="$broken" -f tools/count-tests.awk /dev/null $logs >build/test-report || status=1
cat build/test-report
tail -n 1 build/test-report >build/test-summary
exit $status
