#!/bin/sh
# Make DIRECTORY hold the kernel's user headers and no others, for a C library that brings
# none. The C library of the build host stays out of sight.
# usage: kernel-headers.sh DIRECTORY COMPILER...
set -eu
directory=$1
shift
multiarch=$("$@" -print-multiarch)
mkdir -p "$directory"
for name in linux asm-generic mtd rdma; do
    [ ! -d "/usr/include/$name" ] || ln -sfn "/usr/include/$name" "$directory/$name"
done
for asm in "/usr/include/$multiarch/asm" /usr/include/asm; do
    if [ -d "$asm" ]; then
        ln -sfn "$asm" "$directory/asm"
        exit 0
    fi
done
echo "kernel-headers: no asm/ headers for $multiarch: install linux-libc-dev" >&2
exit 1
