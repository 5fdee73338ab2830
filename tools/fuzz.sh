#!/bin/bash
# Run every fuzz target of build/fuzz for SECONDS, two at a time, from its seeds and from what
# earlier runs found (build/fuzz-corpus). A crash leaves its input in build/fuzz-crashes.
# usage: fuzz.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh
seconds=${1:?usage: fuzz.sh SECONDS [TARGET...]}
shift

fuzz_one() {
    local program=$1 seconds=$2 name corpus=() options log status=0
    name=$(basename "$program")
    log=build/fuzz-corpus/$name.log
    mkdir -p "build/fuzz-corpus/$name" build/fuzz-crashes
    corpus=("build/fuzz-corpus/$name")
    [ ! -d "tests/fuzz/seeds/$name" ] || corpus+=("tests/fuzz/seeds/$name")
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix="build/fuzz-crashes/$name-")
    [ ! -f "tests/fuzz/$name.dict" ] || options+=(-dict="tests/fuzz/$name.dict")
    "$program" "${options[@]}" "${corpus[@]}" > "$log" 2>&1 || status=$?
    if [ $status -ne 0 ]; then
        tail -60 "$log" >&2
        printf 'FAILED %s: input in build/fuzz-crashes, log in %s\n' "$name" "$log" >&2
        return 1
    fi
    awk -v name="$name" '/number_of_executed_units/ { runs = $2 } /cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        END { printf "    %-28s %9d inputs, %6d edges\n", name, runs, edges }' "$log"
}

shopt -s nullglob
targets=()
if [ $# -gt 0 ]; then
    for name in "$@"; do targets+=("build/fuzz/tests/fuzz/$name"); done
else
    for source in tests/fuzz/fuzz_*.c; do targets+=("build/fuzz/tests/fuzz/$(basename "$source" .c)"); done
fi
[ ${#targets[@]} -gt 0 ] || die "there are no fuzz targets"

failed=0
running=0
for program in "${targets[@]}"; do
    if [ $running -ge 2 ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz_one "$program" "$seconds" &
    running=$((running + 1))
done
while [ $running -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit $failed
