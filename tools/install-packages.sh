#!/bin/sh
# install-packages.sh - installs what is missing of the named sections of packages.txt; touches no network otherwise.
set -eu
here=$(dirname "$0")

# The packages of one section that are neither installed nor made unnecessary by their command.
missing() {
    awk -v want="[$1]" '/^\[/ { on = $0 == want; next } on && NF && !/^#/ { print $1, $2 }' "$here/packages.txt" |
    while read -r package command; do
        [ -n "$command" ] && command -v "$command" >/dev/null && continue
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
            *' ok installed') ;;
            *) echo "$package" ;;
        esac
    done
}

if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian: install by hand what tools/packages.txt lists under: $*" >&2
    exit 0
fi
for section; do
    grep -qxF "[$section]" "$here/packages.txt" || { echo "packages.txt has no section [$section]" >&2; exit 2; }
done
packages=$(for section; do missing "$section"; done)
[ -n "$packages" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "As root, install:" $packages >&2; exit 1; }
    as_root=sudo
fi
echo "Installing:" $packages >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q "$@" >>"$log" 2>&1 </dev/null; }
# An update that fails (one dead mirror of several) matters only if the installation then fails too.
apt update || true
apt install --no-install-recommends $packages || {
    cat "$log" >&2
    echo "Could not install:" $packages >&2
    exit 1
}
