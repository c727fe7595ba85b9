# cli.sh - sourced by the tests of the command line: a scratch folder with the tiny models in it, and checks.
#
# Usage of every test: NAME.sh TENREC MAKE
tenrec=${1:?usage: $0 TENREC MAKE}
case $tenrec in /*) ;; *) tenrec=$PWD/$tenrec ;; esac
point=0
failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$2" "$work" || exit 1
cd "$work" || exit 1

# ok NAME [FAULTS]: passes when FAULTS is empty; prints them otherwise.
ok() {
    point=$((point + 1))
    if [ -z "${2:-}" ]; then
        echo "ok $point - $1"
    else
        echo "not ok $point - $1"
        printf '%s\n' "$2" | sed 's/^/# /'
        failures=$((failures + 1))
    fi
}

skip() {
    point=$((point + 1))
    echo "ok $point - $1 # SKIP $2"
}

# run ARGUMENTS...: leaves stdout in `out`, stderr in `talk`, the exit code in $code.
run() {
    "$tenrec" "$@" >out 2>talk </dev/null
    code=$?
}

# exits CODE NAME: the last run ended so.
exits() {
    ok "$2" "$([ "$code" = "$1" ] || { echo "exit code $code instead of $1"; cat talk; })"
}

# says FILE PATTERN NAME: a line of out or talk fits the extended regular expression.
says() {
    ok "$3" "$(grep -Eq -- "$2" "$1" || { echo "nothing like: $2"; cat "$1"; })"
}

is() { # NAME FOUND EXPECTED
    ok "$1" "$([ "$2" = "$3" ] || printf 'found:    %s\nexpected: %s' "$2" "$3")"
}

finish() {
    echo "1..$point"
    [ "$failures" = 0 ]
    exit
}
