#!/bin/sh
# The files of DIRECTORY that match PATTERN, one a line, sorted; for meson, which has no globs.
# tools/build.sh configures again when such a list changes.
# usage: list-files.sh DIRECTORY PATTERN
set -eu
cd "$1"
for file in $2; do
    [ ! -f "$file" ] || printf '%s\n' "$file"
done | LC_ALL=C sort
