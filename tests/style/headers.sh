#!/bin/sh
# headers.sh - each public header compiles alone, as C11 and as C++17; each internal header compiles alone as C.
#
# Usage: headers.sh ROOT BUILD [CC] [CXX]; BUILD/src holds what the build generates.
. "$(dirname "$0")/tree.sh"
build=$2
cc=${3:-cc}
cxx=${4:-c++}
strict='-Wall -Wextra -Werror -fsyntax-only'

# alone NAME COMPILER OPTIONS...: compiles a source that is one #include, twice, so that the guard is tried as well.
alone() {
    name=$1
    shift
    printf '#include "%s"\n#include "%s"\n' "$name" "$name" | "$@" -I"$root/include" - 2>&1
}

for header in $(find_in include -- -name '*.h'); do
    name=${header#include/}
    ok "$name as C11" "$(alone "$name" $cc -std=c11 $strict -pedantic -x c)"
    if command -v "$cxx" >/dev/null; then
        ok "$name as C++17" "$(alone "$name" $cxx -std=c++17 $strict -pedantic -x c++)"
    else
        skip "$name as C++17" "needs $cxx"
    fi
done

has_dnnl=$(echo '#include <dnnl.h>' | $cc -fsyntax-only -x c - 2>/dev/null && echo yes)
for header in $(find_in src -- -name '*.h'); do
    name=${header#src/}
    case $name:$has_dnnl in
        backend/dnnl/*:) skip "$name as C" 'needs oneDNN' ;;
        *) ok "$name as C" "$(alone "$name" $cc -std=gnu11 -D_GNU_SOURCE $strict -Wno-unused-parameter \
            -Wno-missing-field-initializers -Wno-unused-function -I"$root/src" -I"$build/src" -x c)" ;;
    esac
done
finish
