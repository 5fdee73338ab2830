#!/bin/sh
# Install the completions, which the program writes itself from its table of options.
# meson's install script: install-completions.sh PROGRAM DATADIR
set -eu
umask 022
program=$1
data=$MESON_INSTALL_DESTDIR_PREFIX/$2

put() {
    mkdir -p "$data/$(dirname "$2")"
    "$program" completion "$1" > "$data/$2"
    chmod 644 "$data/$2"
}
put bash bash-completion/completions/cloister
put zsh zsh/site-functions/_cloister
put fish fish/vendor_completions.d/cloister.fish
