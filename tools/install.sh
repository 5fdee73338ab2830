#!/bin/bash
# make install: into $PREFIX (default /usr/local), below $DESTDIR when that is given; sudo only
# for the copy, and only where we may not write. --remove takes the same files away.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}/
stage=$PWD/build/stage
umask 022
[[ $prefix = /* ]] || die "PREFIX has to be an absolute path, not '$prefix'"

# Only who asked for them (make wasm) has the WebAssembly programs.
has_wasm() {
    [ -x build/wasm/cloister-wasm ] && [ "$(head -n 1 build/wasm/.identity)" = "$PWD" ]
}

fill_stage() {
    local name
    rm -rf "$stage"
    for name in core helpers wasm; do
        [ "$name" != wasm ] || has_wasm || continue
        quietly meson configure "build/$name" "-Dprefix=$prefix" \
            "-Dmandir=share/man" "-Ddatadir=share" "-Dbindir=bin"
        quietly meson install -C "build/$name" --strip --destdir "$stage"
    done
}

# What is the nearest directory that exists: may we write there?
writable() {
    local path=$1
    while [ ! -e "$path" ]; do path=$(dirname "$path"); done
    [ -w "$path" ]
}

# Whether this installation is the machine's: not a package, nor in a user's own directory.
for_this_machine() {
    [ -z "${DESTDIR:-}" ] && { [ "$(id -u)" -eq 0 ] || ! writable "$prefix"; }
}

# AppArmor's profiles go into /etc as well: the sandboxes' for the system's own prefix and
# where this machine needs it; the one that lets cloister make user namespaces for the system's
# own prefix (it names the program's path), and only where the parser knows `userns`: an older
# one would refuse the file, and with it a reload of all profiles. Packagers, who give DESTDIR,
# decide for their own system.
place_profiles() {
    local profiles=$stage$prefix/share/cloister/apparmor.d
    if [ "$prefix" = /usr ] || { for_this_machine && apparmor_is_on; }; then
        install -D -m 644 -t "$stage/etc/apparmor.d" "$profiles/cloister-sandbox"
    fi
    [ "$prefix" = /usr ] || return 0
    [ -n "${DESTDIR:-}" ] || [ -e /etc/apparmor.d/abi/4.0 ] || return 0
    install -D -m 644 -t "$stage/etc/apparmor.d" "$profiles/cloister"
}

privileged() {
    if writable "$root$prefix" && { [ ! -e "$stage/etc" ] || writable "${root}etc"; }; then
        "$@"
    else
        as_root "$@"
    fi
}

if ! [ -d build/core ] || ! [ -d build/helpers ]; then die "nothing is built: run make first"; fi
if [ "$(head -n 1 build/core/.identity)" != "$PWD" ]; then
    die "build/ came here with a copy: run make first"  # meson would write into the original
fi
claim_build
fill_stage
place_profiles
mapfile -d '' files < <(cd "$stage" && find . -type f -print0)
if [ "${1:-}" = --remove ]; then
    removed=0
    for file in "${files[@]}"; do
        [ -e "$root${file#./}" ] || continue
        privileged rm -f "$root${file#./}"
        removed=$((removed + 1))
    done
    # the directories that only we had: each that is empty now, the deepest first
    mapfile -d '' dirs < <(cd "$stage$prefix" && find . -mindepth 1 -depth -type d -print0)
    for dir in "${dirs[@]}"; do
        [ ! -d "$root$prefix/$dir" ] || privileged rmdir --ignore-fail-on-non-empty "$root$prefix/$dir"
    done
    say "removed $removed files below $root${prefix#/}"
    if for_this_machine && [ -d /run/cloister-bare ]; then # what root's runs keep mounted (bare.c)
        # shellcheck disable=SC2016 # root's shell looks there
        as_root sh -c 'cd /run && for kept in cloister-bare/mnt-* cloister-bare; do
            while umount --quiet "$kept"; do :; done
        done; rm -rf --one-file-system cloister-bare'
    fi
    exit 0
fi
privileged mkdir -p "$root"
# files only: directories that are there keep their modes
printf '%s\0' "${files[@]}" | tar -C "$stage" --null -T - --owner=0 --group=0 -cf - |
    privileged tar -C "$root" --no-same-owner -xpf -
say "installed:"
printf '    %s\n' "${files[@]/#./${root%/}}"
if for_this_machine; then
    load_profile /etc/apparmor.d/cloister-sandbox
elif [ -z "${DESTDIR:-}" ] && apparmor_is_on; then
    say "AppArmor is on, and sandboxes need its profile; as root:"
    echo "    apparmor_parser -r $prefix/share/cloister/apparmor.d/cloister-sandbox"
fi
if [ -z "${DESTDIR:-}" ] && [ -e /proc/sys/kernel/apparmor_restrict_unprivileged_userns ]; then
    say "this host can restrict user namespaces; ordinary users then need the AppArmor profile:"
    [ "$prefix" = /usr ] || echo "    cp $prefix/share/cloister/apparmor.d/cloister /etc/apparmor.d/cloister"
    echo "    apparmor_parser -r /etc/apparmor.d/cloister"
fi
