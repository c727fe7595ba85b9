#!/bin/sh
# seal-library.sh - makes the static library that others link: one object in which only tenrec_* names are still global.
#
# A static library has no export list, so an internal fail() would collide with a program's own fail(). Usage:
# seal-library.sh LD OBJCOPY AR INNER.a OUT.a
set -eu
ld=$1 objcopy=$2 ar=$3 inner=$4 out=$5
object=${out%.a}.o
"$ld" -r -o "$object" --whole-archive "$inner"
"$objcopy" --localize-hidden "$object"
rm -f "$out"
"$ar" rcsD "$out" "$object"
rm -f "$object"
