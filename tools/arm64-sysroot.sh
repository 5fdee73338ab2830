#!/bin/bash
# Make build/arm64-sysroot: musl and the kernel's headers for arm64, from Debian's packages, and
# bin/musl-gcc, which is Debian's cross compiler with musl's specs; and a kernel and busybox for a
# machine that runs the tests. The packages of another architecture aren't installed: apt has lists
# of its own for them here, and dpkg hears nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh
sysroot=$PWD/build/arm64-sysroot
packages=(musl-dev linux-libc-dev busybox-static)
kernel=linux-image-cloud-arm64
musl=lib/aarch64-linux-musl include=include/aarch64-linux-musl

# The specs name the places where the package would be installed.
recipe=$(printf '%s\n' "$PWD" "${packages[@]}" $kernel | cat - "$0" | sha256sum | cut -c1-16)
[ "$(cat "$sysroot/made" 2> /dev/null)" != "$recipe" ] || exit 0
say "making build/arm64-sysroot"
rm -rf "$sysroot"
mkdir -p "$sysroot/apt/lists/partial" "$sysroot/apt/archives/partial" "$sysroot/bin"

apt_arm64() {
    "$1" -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User= \
        -o Dir::State::lists="$sysroot/apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$sysroot/apt" "${@:2}"
}

cd "$sysroot"
quietly apt_arm64 apt-get update
packages+=("$(apt_arm64 apt-cache depends $kernel | sed -n 's/.*Depends: \(linux-image-[0-9]\)/\1/p')")
quietly apt_arm64 apt-get download "${packages[@]}"
for package in *.deb; do
    dpkg-deb -x "$package" .
    rm "$package"
done
rm -rf apt
sed -e "s,/usr/$include,$sysroot/usr/$include,g" -e "s,/usr/$musl,$sysroot/usr/$musl,g" \
    "usr/$musl/musl-gcc.specs" > bin/musl-gcc.specs
printf '#!/bin/sh\nexec aarch64-linux-gnu-gcc "$@" -specs %s/bin/musl-gcc.specs\n' "$sysroot" > bin/musl-gcc
chmod +x bin/musl-gcc
cat > bin/cross.ini << CROSS
[binaries]
c = '$sysroot/bin/musl-gcc'
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
exe_wrapper = 'qemu-aarch64-static'
[built-in options]
c_link_args = ['-static']
[properties]
sysroot = '$sysroot'
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
CROSS
echo "$recipe" > made
