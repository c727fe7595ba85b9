# tree.sh - sourced by the style tests: says where the tree under test is.
#
# Every style test takes the root of the tree first, so that self.sh can point it at a tree with a known fault.
root=${1:?usage: $0 ROOT ...}
. "$(dirname "$0")/../tap.sh"

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
