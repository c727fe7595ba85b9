#!/bin/sh
# demo.sh - shows what Tenrec does, from a model file to answers; needs a finished build.
set -eu
cd "$(dirname "$0")/.."
tenrec=${TENREC:-build/tenrec}

# Says what it runs, then runs it.
say() { printf '\n%s\n' "$*"; }
show() {
    printf '  $ %s\n' "$*"
    "$@"
}

say 'The program:'
show "$tenrec" --version
