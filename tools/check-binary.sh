#!/bin/bash
# Does build/bin/cloister have the form that we rely on? A static PIE: no interpreter, no
# libraries, no text relocations, no writable code, relocated data write-protected. And not larger
# than it has reason to be: each process of it costs what it has to relocate.
# usage: check-binary.sh [PROGRAM...]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh

# KiB that PROGRAM may have.
bound() {
    case ${1##*/} in
        cloister-wasm) echo 2560 ;; # the engine without its compiler
        cloister-wasm-component) echo 8192 ;; # and with WASI 0.2, HTTP and TLS
        *) echo 2048 ;;
    esac
}

check() {
    local program=$1 headers dynamic size
    size=$(($(stat -c %s "$program") / 1024))
    headers=$(readelf -hlW "$program")
    dynamic=$(readelf -dW "$program")
    grep -q 'Type: *DYN' <<< "$headers" || die "$program is not position-independent"
    ! grep -q INTERP <<< "$headers" || die "$program wants an interpreter"
    ! grep -q NEEDED <<< "$dynamic" || die "$program wants shared libraries"
    ! grep -q TEXTREL <<< "$dynamic" || die "$program has text relocations"
    grep -q GNU_RELRO <<< "$headers" || die "$program has no RELRO segment"
    ! grep -Eq '(LOAD|GNU_STACK) .* RWE' <<< "$headers" || die "$program has writable code"
    grep -q BIND_NOW <<< "$dynamic" || grep -q 'FLAGS_1.*NOW' <<< "$dynamic" || die "$program binds lazily"
    [ $size -le "$(bound "$program")" ] || die "$program has $size KiB, more than $(bound "$program")"
    printf '%s    %s: static PIE, %d KiB%s\n' "$dim" "$program" $size "$plain"
}

[ $# -gt 0 ] || set -- build/bin/cloister build/bin/cloister-oci build/bin/cloisterd build/bin/containerd-shim-cloister-v2
for program in "$@"; do
    if [ -x "$program" ]; then
        check "$program"
    else
        die "$program was not built"
    fi
done
