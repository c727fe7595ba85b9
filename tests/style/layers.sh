#!/bin/sh
# layers.sh - a folder includes only folders above it; their order is the foreach list of src/meson.build.
. "$(dirname "$0")/tree.sh"

list=$(awk '/^foreach folder *: *\[/ { on = 1; sub(/.*\[/, "") } on { print } /\]/ { on = 0 }' "$root/src/meson.build")
order=$(echo $(echo "$list" | tr "',]" '   '))
ok 'src/meson.build names the layers' "$([ -n "$order" ] || echo 'no foreach list found')"

# The design's picture of the house has the same order: `  name/   what it is` between the two fences of section 3.
if [ -f "$root/docs/design.md" ]; then
    house=$(awk '/^## / { on = /The house/ } on && /^  [a-z]+\// { sub(/\/.*/, ""); print $1 }' "$root/docs/design.md")
    ok 'docs/design.md shows the same order' "$(echo "$order" | tr ' ' '\n' | awk -v house="$(echo $house)" '
        BEGIN { n = split(house, name, " "); for (i = 1; i <= n; i++) rank[name[i]] = i }
        !NF { next }
        !($1 in rank) { print $1 " is not in section 3"; next }
        rank[$1] < last { print $1 " stands higher in section 3" }
        { last = rank[$1] }')"
fi

# Prints every include of FOLDER that points at a folder not above it.
faults() {
    find_in "src/$1" -- -name '*.[ch]' | while read -r file; do
        awk -v order="$order" -v me="$1" -v file="$file" '
            BEGIN { n = split(order, name, " "); for (i = 1; i <= n; i++) rank[name[i]] = i }
            /^[ \t]*#[ \t]*include[ \t]*"/ {
                split($0, part, "\""); to = part[2]
                if (to ~ /\.\./) { print file ":" FNR ": \"" to "\" is not rooted at src/"; next }
                if (to !~ /\// || !sub(/\/.*/, "", to) || to == "tenrec") next
                if (!(to in rank)) print file ":" FNR ": no layer " to
                else if (rank[to] > rank[me]) print file ":" FNR ": " me " may not include " to
            }' "$root/$file"
    done
}

for path in "$root"/src/*/; do
    folder=$(basename "$path")
    case " $order " in
        *" $folder "*) ok "$folder includes only folders above it" "$(faults "$folder")" ;;
        *) ok "$folder is a layer" "$folder is not in the list of src/meson.build" ;;
    esac
done
finish
