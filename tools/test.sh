#!/bin/bash
# make test: build everything, then from the quickest check to the slowest. The last line is
# that of pytest. A stage that fails ends the run, but both pytest runs always happen.
# A stage that hangs is ended and named: each has a bound of several times what it takes, and
# all of them one together. (Single tests have theirs: tests/pytest.ini, tests/unit/meson.build.)
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh
fuzz_seconds=10
all_seconds=4200

# The command that ends another after so many seconds, as `bounded`. Interrupted, pytest and
# meson say where they were; on a terminal the command stays in reach of its keys.
bound() {
    local left=$((all_seconds - SECONDS))
    bounded=(timeout --signal=INT --kill-after=30 "$(($1 < left ? $1 : left > 1 ? left : 1))")
    [ ! -t 0 ] || bounded+=(--foreground)
}

# What a bounded command ended with, which is returned unless it was a hang.
judge() {
    local status=$1
    shift
    case $status in 124 | 137) die "this did not end, and was ended: $*" ;; esac
    return "$status"
}

within() {
    local status=0
    bound "$1"
    shift
    "${bounded[@]}" "$@" || status=$?
    judge $status "$@"
}

within_as_root() {
    local status=0
    bound "$1"
    shift
    as_root "${bounded[@]}" "$@" || status=$?
    judge $status "$@"
}

stage() {
    printf '\n'
    say "$*"
}

# What is said goes to the terminal and to a file as well, for failures_again.
sandbox_tests() {
    local colour=no
    [ ! -t 1 ] || colour=yes
    # what the ordinary user may not do here is done as root: see tests/conftest.py
    within_as_root "$1" env PYTHONDONTWRITEBYTECODE=1 CI="${CI:-}" /usr/bin/python3 -m pytest \
        -ra --color=$colour --durations=5 "${@:3}" tests/integration tests/escape tests/conformance |
        tee "build/sandboxes-$2.log"
}

# Two runs are long: whoever sees the end alone learns from it what failed in either.
failures_again() {
    printf '\n'
    grep -hE '^[^ ]*E {3}' build/sandboxes-*.log | cut -c 1-300 | head -n 20 || true
    grep -hE '^[^ ]*(FAILED|ERROR)[^ ]* ' build/sandboxes-*.log | cut -c 1-300 | head -n 20 || true
    die "tests of sandboxes failed: see above; all that was said is in build/sandboxes-*.log"
}

# A skip that the list doesn't expect fails; what needs root is skipped for nobody else.
unit_tests() {
    within 300 meson test -C build/asan --no-rebuild --print-errorlogs
    /usr/bin/python3 tools/check-skips.py build/asan/meson-logs/testlog.json
    [ "$(id -u)" -ne 0 ] || return 0
    say "the same as root"
    within_as_root 300 meson test -C build/asan --no-rebuild --print-errorlogs --logbase=root
    as_root /usr/bin/python3 tools/check-skips.py build/asan/meson-logs/root.json
}

within 600 packaging/install-packages.sh build test
load_profile packaging/apparmor/cloister-sandbox
within 1800 tools/engine.sh
within 900 tools/build.sh core helpers weak asan fuzz wasm
within 120 make -s -C tests/escape  # by us, so that build/ keeps one owner

stage "form: the programs, dependencies between directories"
within 60 tools/check-binary.sh build/bin/cloister build/bin/cloister-weak build/bin/cloister-oci build/bin/cloisterd build/bin/containerd-shim-cloister-v2 build/bin/cloister-oci-weak build/bin/cloister-wasm build/bin/cloister-wasm-component
within 60 /usr/bin/python3 tools/check-arrows.py
within 60 /usr/bin/python3 tools/gen-seccomp.py --check-headers

stage "unit tests, with the sanitizers"
unit_tests

stage "fuzzing, $fuzz_seconds s for each target"
within 240 tools/fuzz.sh $fuzz_seconds

stage "images that tests share"
within_as_root 1200 env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests /usr/bin/python3 -m lib.real_image

stage "what Debian has not: engines, validation programs, WebAssembly programs"
for each in lib.go_engines lib.oci_validation lib.wasm_guest lib.fetched lib.wasm_component; do
    within 1800 env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests /usr/bin/python3 -m $each
done

stage "sandboxes: integration and attacks"
status=0
sandbox_tests 2400 beside -n 2 -m 'not measures and not serial' || status=$?

stage "sandboxes: what has to run alone"
sandbox_tests 900 alone -m 'measures or serial' || status=$?
[ $status -eq 0 ] || failures_again
