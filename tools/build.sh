#!/bin/bash
# Configure (when needed) and compile build directories by name; see the table below.
# usage: build.sh NAME...      as in: build.sh core helpers
#
# A directory is made anew when its options, the compiler or the checkout's place changed,
# and configured again when source files came or went.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh

options_of() {
    case $1 in
        core)     echo 'musl-gcc -Dparts=core' ;;
        helpers)  echo 'gcc -Dparts=helpers' ;;
        wasm)     echo 'gcc -Dparts=wasm -Dwasm=enabled' ;;
        arm64)    echo "musl-gcc -Dparts=core,tests -Dfaults=true --cross-file=build/arm64-sysroot/bin/cross.ini" ;;
        weak)     echo 'musl-gcc -Dparts=core -Dweak=true -Dfaults=true' ;;
        asan)     echo 'gcc -Dparts=core,helpers,wasm,tests -Dfaults=true -Doptimization=1
                        -Db_sanitize=address,undefined -Db_lundef=false' ;;
        fuzz)     echo 'clang -Dparts=helpers,wasm,tests,fuzz -Dfaults=true -Doptimization=1
                        -Db_sanitize=address,undefined -Db_lundef=false' ;;
        coverage) echo 'gcc -Dparts=core,helpers,wasm,tests -Dfaults=true -Doptimization=0 -Db_coverage=true' ;;
        analyze)  echo 'gcc -Dparts=core,helpers,wasm -Doptimization=1 -Dc_args=-fanalyzer' ;;
        *)        die "no build directory is called '$1'" ;;
    esac
}

# What decides whether a configured directory can be used as it is.
identity() {
    printf '%s\n' "$PWD" "$1" "werror=$2"
    command -v "${1%% *}"
    "${1%% *}" -dumpfullversion 2>/dev/null || true
    meson --version
    [[ $1 != *wasm* ]] || cat build/engine/stamp 2> /dev/null || true
}

listing() {
    find src policy tests/unit tests/fuzz docs/man \
        \( -name '*.c' -o -name '*.scd' -o -name meson.build \) -print | LC_ALL=C sort
}

configure() {
    local name=$1 directory=build/$1 options werror=false compiler
    options=$(options_of "$name" | tr -s ' \n' ' ')
    options=${options% }
    # clang sees the sources for the fuzzers only; its warnings are clang-tidy's business
    [ "${CI:-}" != true ] || [ "$name" = fuzz ] || werror=true
    [ "$name" != analyze ] || werror=true  # what it finds fails make lint
    compiler=${options%% *}
    if [ "$(cat "$directory/.identity" 2>/dev/null)" != "$(identity "$options" $werror)" ]; then
        say "configuring $directory ($compiler)"
        rm -rf "$directory"
        # shellcheck disable=SC2086 # the options are words
        CC=$compiler quietly meson setup "$directory" "-Dwerror=$werror" ${options#* }
        listing > "$directory/.listing"
        identity "$options" $werror > "$directory/.identity"
    elif ! listing | cmp -s - "$directory/.listing"; then
        say "configuring $directory again (source files came or went)"
        quietly meson setup --reconfigure "$directory"
        listing > "$directory/.listing"
    fi
}

# build/bin holds what people and tests start: programs of the release builds, the test
# build, and in asan/ the sanitised ones.
publish() {
    local from=build/$1 to=build/bin program
    [ "$1" != asan ] || to=build/bin/asan
    for program in cloister cloister-oci cloisterd containerd-shim-cloister-v2 cloister-weak cloister-oci-weak cloister-plan cloister-image cloister-fetch \
        cloister-systemd cloister-grpc cloister-wasm cloister-wasm-component cloister-wasmc cloister-wasmedge; do
        [ -x "$from/$program" ] || continue
        mkdir -p "$to"
        cmp -s "$from/$program" "$to/$program" && continue
        # a copy, put in place by rename: a running one goes on undisturbed
        cp "$from/$program" "$to/.$program.new"
        [ "$1" = asan ] || strip "$to/.$program.new"
        mv "$to/.$program.new" "$to/$program"
    done
}

[ $# -gt 0 ] || die "usage: build.sh NAME..."
mkdir -p build
claim_build
for name in "$@"; do
    [ "$name" != wasm ] || tools/engine.sh
    configure "$name"
    say "building build/$name"
    keep_going=1
    [ "$name" != analyze ] || keep_going=0  # all that it finds, not the first
    quietly ninja -k $keep_going -C "build/$name"
    case $name in core | weak | asan | helpers | wasm) publish "$name" ;; esac
done
