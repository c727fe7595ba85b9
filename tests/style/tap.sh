# tap.sh - sourced by the style tests: counts points, prints TAP, and says where the tree under test is.
#
# Every style test takes the root of the tree first, so that self.sh can point it at a tree with a known fault.
root=${1:?usage: $0 ROOT ...}
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

# find_in FOLDERS... -- FIND-EXPRESSION: files of those folders of the tree that exist, named from the root, sorted.
find_in() {
    folders=
    while [ "$1" != -- ]; do
        [ ! -d "$root/$1" ] || folders="$folders $1"
        shift
    done
    shift
    [ -z "$folders" ] || (cd "$root" && find $folders -type f "$@" | LC_ALL=C sort)
}
