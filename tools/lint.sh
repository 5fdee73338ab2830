#!/bin/bash
# make lint: everything that reads the sources without running them. All checks run; the exit
# status tells whether one of them complained.
# usage: lint.sh [--format]     --format: put the C sources into shape instead
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh

sources() {
    find src tests bench tools -name '*.[ch]' -print0 | LC_ALL=C sort -z
}

if [ "${1:-}" = --format ]; then
    sources | xargs -0 clang-format -i
    exit 0
fi

failed=()
check() {
    local name=$1
    shift
    say "$name"
    "$@" || failed+=("$name")
}

formatting() {
    sources | xargs -0 clang-format --dry-run --Werror
}

shell() {
    shellcheck -x -P tools .ci/run tools/*.sh tools/demo/*.sh packaging/*.sh
}

# Every header says by itself all that it needs.
headers_alone() {
    local header status=0
    while IFS= read -r header; do
        gcc -std=gnu17 -D_GNU_SOURCE -Isrc -I. -Wall -Wextra -Werror -fsyntax-only -x c - \
            <<< "#include \"${header#src/}\"" || status=1
    done < <(find src -name '*.h')
    return $status
}

# clang-tidy knows clang's options only: it takes those of the fuzz build, which has all sources.
tidy() {
    find src tests/unit tests/fuzz -name '*.c' -print0 |
        xargs -0 -n 4 -P "$(nproc)" clang-tidy -p build/fuzz --quiet 2> >(grep -v 'warnings generated' >&2)
}

tools/engine.sh # its headers: without them the sources that use it would go unread
check "dependencies, sizes, banned functions" /usr/bin/python3 tools/check-arrows.py
check "shell scripts" shell
check "formatting (make format repairs it)" formatting
check "headers compile alone" headers_alone
check "gcc -fanalyzer" tools/build.sh analyze
if tools/build.sh fuzz; then
    check "clang-tidy" tidy
else
    failed+=("build with clang")
fi

[ ${#failed[@]} -eq 0 ] || die "$(printf '%s; ' "${failed[@]}")see above"
say "nothing to complain about"
