#!/bin/bash
# Does build/bin/cloister have the form that we rely on? A static PIE: no interpreter, no
# libraries, no text relocations, no writable code, relocated data write-protected.
# usage: check-binary.sh [PROGRAM...]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh

check() {
    local program=$1 headers dynamic
    headers=$(readelf -hlW "$program")
    dynamic=$(readelf -dW "$program")
    grep -q 'Type: *DYN' <<< "$headers" || die "$program is not position-independent"
    ! grep -q INTERP <<< "$headers" || die "$program wants an interpreter"
    ! grep -q NEEDED <<< "$dynamic" || die "$program wants shared libraries"
    ! grep -q TEXTREL <<< "$dynamic" || die "$program has text relocations"
    grep -q GNU_RELRO <<< "$headers" || die "$program has no RELRO segment"
    ! grep -Eq '(LOAD|GNU_STACK) .* RWE' <<< "$headers" || die "$program has writable code"
    grep -q BIND_NOW <<< "$dynamic" || grep -q 'FLAGS_1.*NOW' <<< "$dynamic" || die "$program binds lazily"
    printf '%s    %s: static PIE, %d KiB%s\n' "$dim" "$program" "$(($(stat -c %s "$program") / 1024))" "$plain"
}

[ $# -gt 0 ] || set -- build/bin/cloister build/bin/cloister-oci
for program in "$@"; do
    if [ -x "$program" ]; then
        check "$program"
    else
        die "$program was not built"
    fi
done
