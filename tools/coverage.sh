#!/bin/bash
# make coverage: what the unit tests reach. Report: build/coverage-report/index.html
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh

tools/build.sh coverage
find build/coverage -name '*.gcda' -delete
meson test -C build/coverage --no-rebuild --print-errorlogs
mkdir -p build/coverage-report
say "report: build/coverage-report/index.html"
gcovr --root . --filter 'src/' --exclude-unreachable-branches --exclude-throw-branches \
    --html-details build/coverage-report/index.html --print-summary build/coverage
