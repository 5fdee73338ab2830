#!/bin/bash
# Those of the files NAME... in DIRECTORY that include no header of the helpers or their libraries, themselves or by
# another header of DIRECTORY; for meson, where the helpers aren't built.
# usage: without-helpers.sh DIRECTORY NAME...
set -eu
cd "$1"
shift
helpers='"helpers/|<zstd|<sys/queue' # musl, with which that is, has no queue.h
needing=$helpers
while mapfile -t more < <(grep -lE "^#include ($needing)" -- *.h) && found=$(printf '|"%s' "${more[@]}") && [ "$helpers$found" != "$needing" ]; do
    needing=$helpers$found
done
grep -LE "^#include ($needing)" -- "$@"
