#!/bin/sh
# Make DIRECTORY hold the kernel's user headers and no others, for a C library that brings
# none. The C library of the build host stays out of sight.
# usage: kernel-headers.sh DIRECTORY FROM COMPILER...     FROM is /usr/include, or a sysroot's
set -eu
directory=$1 from=$2
shift 2
multiarch=$("$@" -print-multiarch)
mkdir -p "$directory"
for name in linux asm-generic mtd rdma; do
    [ ! -d "$from/$name" ] || ln -sfn "$from/$name" "$directory/$name"
done
for asm in "$from/$multiarch/asm" "$from/asm"; do
    if [ -d "$asm" ]; then
        ln -sfn "$asm" "$directory/asm"
        exit 0
    fi
done
echo "kernel-headers: no asm/ headers for $multiarch: install linux-libc-dev" >&2
exit 1
