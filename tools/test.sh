#!/bin/bash
# make test: build everything, then from the quickest check to the slowest. The last line is
# that of pytest. A stage that fails ends the run, but both pytest runs always happen.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh
fuzz_seconds=10

stage() {
    printf '\n'
    say "$*"
}

sandbox_tests() {
    # what the ordinary user may not do here is done as root: see tests/conftest.py
    as_root env PYTHONDONTWRITEBYTECODE=1 CI="${CI:-}" /usr/bin/python3 -m pytest \
        -ra --durations=5 "$@" tests/integration tests/escape
}

# A skip that the list doesn't expect fails; what needs root is skipped for nobody else.
unit_tests() {
    meson test -C build/asan --no-rebuild --print-errorlogs
    /usr/bin/python3 tools/check-skips.py build/asan/meson-logs/testlog.json
    [ "$(id -u)" -ne 0 ] || return 0
    say "the same as root"
    as_root meson test -C build/asan --no-rebuild --print-errorlogs --logbase=root
    as_root /usr/bin/python3 tools/check-skips.py build/asan/meson-logs/root.json
}

packaging/install-packages.sh build test
tools/build.sh core helpers weak asan fuzz
quietly make -s -C tests/escape  # by us, so that build/ keeps one owner

stage "form: the programs, dependencies between directories"
tools/check-binary.sh build/bin/cloister build/bin/cloister-weak
/usr/bin/python3 tools/check-arrows.py
/usr/bin/python3 tools/gen-seccomp.py --check-headers

stage "unit tests, with the sanitizers"
unit_tests

stage "fuzzing, $fuzz_seconds s for each target"
tools/fuzz.sh $fuzz_seconds

stage "sandboxes: integration and attacks"
status=0
sandbox_tests -n 2 -m 'not measures and not serial' || status=$?

stage "sandboxes: what has to run alone"
sandbox_tests -m 'measures or serial' || status=$?
[ $status -eq 0 ] || die "tests of sandboxes failed: see above"
