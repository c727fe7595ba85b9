#!/bin/sh
# soname.sh - under which name a program asks for a library at run time: soname.sh NAME CC...
set -eu
name=$1
shift
readelf -d "$("$@" -print-file-name="lib$name.so")" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p'
