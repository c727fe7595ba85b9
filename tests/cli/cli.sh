# cli.sh - sourced by the tests of the command line: a scratch folder with the tiny models in it, and checks.
#
# Usage of every test: NAME.sh TENREC MAKE
tenrec=${1:?usage: $0 TENREC MAKE}
case $tenrec in /*) ;; *) tenrec=$PWD/$tenrec ;; esac
. "$(dirname "$0")/../tap.sh"
LSAN_OPTIONS=suppressions=$(cd "$(dirname "$0")" && pwd)/leaks.txt:print_suppressions=0
export LSAN_OPTIONS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$2" "$work" || exit 1
cd "$work" || exit 1

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
