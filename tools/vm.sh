#!/bin/bash
# The integration and escape tests on Debian 12 with Linux 6.1, systemd and cgroup v2, in an
# emulated machine: see docs/testing.md.
# usage: vm.sh SELECTION              tests/vm/SELECTION.txt: full, short
#        vm.sh IDENTITY WORD...       root, plain or user, and pytest's words for it, as in:
#                                     vm.sh user -x tests/integration/test_limits.py
# VM_SECONDS bounds all of it, VM_TEST_SECONDS each test, VM_PATIENCE multiplies what tests wait.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh
directory=$PWD/build/vm
memory=2048  # MiB

fixed() {
    local name=$1 file=tests/vm/$1.txt
    [ -r "$file" ] || die "there is no selection $name: $file"
    cp "$file" "$given/selection"
}

# The root file system is made anew when what it is made of changes.
make_root() {
    local recipe
    recipe=$(cat packaging/debian/vm-guest.txt tools/vm/root.sh | sha256sum | cut -c1-16)
    root=$directory/root-$recipe
    [ ! -e "$root/made" ] || return 0
    say "making the guest's root file system (minutes; kept in build/vm)"
    as_root rm -rf "$directory"/root-*
    as_root tools/vm/root.sh "$root" "$(id -u):$(id -g)"
    as_root touch "$root/made"
}

# Ends with the machine, at the latest after $seconds; nothing of it outlives this script: each
# process ends by SIGKILL when its parent does (prctl(2), PR_SET_PDEATHSIG).
boot() {
    local accel=tcg,thread=multi with=(setpriv --pdeathsig KILL --)
    truncate -s 0 "$directory/results.img"
    truncate -s 512M "$directory/results.img"
    TMPDIR=$directory "${with[@]}" timeout --kill-after=10 "$seconds" "${with[@]}" nice -n 10 \
        qemu-system-x86_64 -M q35 -accel $accel -cpu max -smp 1 -m $memory -nographic -no-reboot -nic none \
        -device virtio-rng-pci -kernel "$root/vmlinuz" -initrd "$root/initrd" \
        -drive "file=$root/root.img,format=raw,if=virtio,snapshot=on" \
        -drive "file=$directory/project.img,format=raw,if=virtio,snapshot=on" \
        -drive "file=$directory/results.img,format=raw,if=virtio,cache=unsafe" \
        -append "root=/dev/vda rw console=ttyS0 quiet loglevel=2 systemd.show_status=0 panic=-1" \
        < /dev/null > >(sed -u 's/\r$//; s/\x1b\[[0-9;?]*[A-Za-z]//g; s/\x1bc//g' | tee "$directory/serial.log")
}

[ $# -gt 0 ] || die "usage: vm.sh SELECTION, or vm.sh IDENTITY WORD..."
packaging/install-packages.sh vm
mkdir -p "$directory"
exec 9> "$directory/lock"
flock -n 9 || die "another guest of this checkout runs"
given=$(mktemp -d "$directory/given-XXXXXX")
trap 'rm -rf "$given"' EXIT
seconds=${VM_SECONDS:-7200}
case $1 in
    root | plain | user) printf "$1 %s\n" "${@:2}" > "$given/selection" ;;
    short) seconds=${VM_SECONDS:-1500} fixed short ;;
    full) seconds=${VM_SECONDS:-86400} fixed full ;;
    *) fixed "$1" ;;
esac
printf 'export CLOISTER_PATIENCE=%s\ntest_seconds=%s\n' "${VM_PATIENCE:-15}" "${VM_TEST_SECONDS:-900}" > "$given/settings"
make_root
make -s -C tests/escape
as_root env TMPDIR="$directory" tools/vm/project.sh "$directory/project.img" "$given" "$(id -u):$(id -g)"

say "booting"
began=$SECONDS
status=0
boot || status=$?
case $status in
    0) ;;
    124 | 137) die "the guest did not end within $seconds s; its log is build/vm/serial.log" ;;
    *) die "qemu failed: $status" ;;
esac
rm -rf "$directory/results"
mkdir "$directory/results"
tar -xf "$directory/results.img" -C "$directory/results" 2> /dev/null || die "the guest ended without results; its log is build/vm/serial.log"
say "the guest took $((SECONDS - began)) s; results are in build/vm/results"
[ "$(cat "$directory/results/status")" = 0 ] || die "tests failed in the guest"
