#!/bin/bash
# Build the WebAssembly engine's three libraries from engine/ (see there), with their C headers:
#   build/engine/rt/libcloister_engine_rt.a              build/engine/rt/include
#   build/engine/component/libcloister_engine_component.a  build/engine/component/include
#   build/engine/compiler/libcloister_engine_compiler.a  build/engine/compiler/include
# Minutes the first time; nothing when build/engine/stamp says that they are up to date.
#
# cargo fetches what engine/Cargo.lock names, each by its digest, and keeps that in CARGO_HOME.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh
needed=1.95 # rust-version of the engine
out=$PWD/build/engine

# Whether the cargo and rustc in DIRECTORY are there and new enough.
usable() {
    local version
    [ -x "$1/cargo" ] && [ -x "$1/rustc" ] || return 1
    version=$("$1/rustc" --version 2> /dev/null) || return 1
    version=${version#rustc }
    printf '%s\n' "$needed" "${version%% *}" | sort -C -V
}

# The directory of the compiler: Debian's where that will do, else the first one in PATH.
find_rust() {
    local directory
    while IFS= read -r directory; do
        if usable "$directory"; then
            echo "$directory"
            return
        fi
    done < <(echo /usr/bin; tr ':' '\n' <<< "$PATH" | grep '^/'; echo "${HOME:-/nonexistent}/.cargo/bin")
    return 1
}

# A home directory that is somebody else's (sudo) or none gets nothing from us.
choose_home() {
    [ -z "${CARGO_HOME:-}" ] || return 0
    if [ -n "${HOME:-}" ] && [ -d "$HOME" ] && [ -O "$HOME" ] && [ -w "$HOME" ]; then return; fi
    export CARGO_HOME=$out/cargo
}

# What decides whether the libraries can be used as they are.
identity() {
    "$1/rustc" --version
    sha256sum engine/Cargo.toml engine/Cargo.lock engine/*.rs engine/*/Cargo.toml engine/*/lib.rs
    sha256sum tools/engine.sh
}

# usage: build NAME MINUTES
build() {
    local cargo=("$rust/cargo" build --release --locked --manifest-path engine/Cargo.toml -p "cloister-engine-$1")
    local library=libcloister_engine_$1.a
    say "building the WebAssembly engine: $1 (about $2 on two processors, once)"
    # not this machine's own flags: what is built here may be installed elsewhere
    export RUSTC=$rust/rustc CARGO_TARGET_DIR=$out/target CL_ENGINE_INCLUDE=$out/$1/include
    if [ -t 2 ]; then "${cargo[@]}"; else quietly "${cargo[@]}" --quiet; fi ||
        die "cargo could not build the engine: see above (its sources come from the network the first time)"
    mkdir -p "$out/$1"
    cp "$out/target/release/$library" "$out/$1/.$library.new"
    mv "$out/$1/.$library.new" "$out/$1/$library"
}

[ $# -eq 0 ] || die "usage: engine.sh"
# Debian's packages where nothing will do: whoever has Rust from elsewhere keeps it.
rust=$(find_rust) || {
    packaging/install-packages.sh wasm
    rust=$(find_rust) ||
        die "the WebAssembly engine needs cargo and rustc $needed or later (Debian 12: cargo-web and rustc-web of bookworm-security; elsewhere: rustup)"
}
wanted=$(identity "$rust")
[ "$wanted" != "$(cat "$out/stamp" 2> /dev/null)" ] || exit 0
command -v cmake > /dev/null || packaging/install-packages.sh wasm
command -v cmake > /dev/null || die "the WebAssembly engine needs cmake to build"
claim_build
mkdir -p "$out"
exec {lock}> "$out/lock"
flock "$lock" # somebody else may be at it, and done when we come
[ "$wanted" != "$(cat "$out/stamp" 2> /dev/null)" ] || exit 0
choose_home
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTC_WRAPPER
build rt "1 minute"
build component "3 minutes"
build compiler "3 minutes"
echo "$wanted" > "$out/stamp"
