#!/bin/bash
# Install the Debian packages that are named in the given lists and aren't there yet.
# usage: install-packages.sh LIST...      as in: install-packages.sh build test
# Each LIST is packaging/debian/LIST.txt: a package, then '#' and the reason, a line.
# Costs one dpkg-query when nothing is missing. Uses sudo when not root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../tools/lib.sh"
tries=3

wanted() {
    local list
    for list in "$@"; do
        [ -r "$here/debian/$list.txt" ] || die "no list packaging/debian/$list.txt"
        sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$here/debian/$list.txt"
    done | LC_ALL=C sort -u
}

missing() {
    local all
    mapfile -t all < <(wanted "$@")
    LC_ALL=C comm -23 <(printf '%s\n' "${all[@]}") \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${all[@]}" 2> /dev/null |
            sed -n 's/^installed //p' | LC_ALL=C sort -u)
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# apt-get install with fresh lists when a package isn't known, and again after a pause when
# a mirror or the network hiccups.
install() {
    local attempt
    if ! apt-get -s install --no-install-recommends "$@" > /dev/null 2>&1; then
        say "refreshing the package lists"
        apt update > /dev/null || true
    fi
    for ((attempt = 1; attempt <= tries; attempt++)); do
        # nothing goes for ours to come: rustc-web would take the place of a user's rustc
        apt install -y --no-remove --no-install-recommends "$@" && return
        [ $attempt -lt $tries ] || break
        say "that failed; trying again in $((attempt * 5)) s"
        sleep $((attempt * 5))
        apt update > /dev/null || true
    done
    die "could not install: $*"
}

[ $# -gt 0 ] || die "usage: install-packages.sh LIST..."
if ! command -v dpkg-query > /dev/null; then
    say "not a Debian system; make sure that the counterparts of these are installed:"
    wanted "$@" | sed 's/^/    /'
    exit 0
fi
mapfile -t packages < <(missing "$@")
[ ${#packages[@]} -gt 0 ] || exit 0
say "installing ${#packages[@]} packages with apt-get: ${packages[*]}"
install "${packages[@]}"
