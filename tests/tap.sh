# tap.sh - sourced by every test that is a shell script: counts points and prints TAP.
point=0
failures=0

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

finish() {
    echo "1..$point"
    [ "$failures" = 0 ]
    exit
}
