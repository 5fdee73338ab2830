#!/bin/bash
# Run the unit tests of build/arm64 as root on an emulated arm64 machine with Debian's kernel, and
# print what they print: @@ start PROGRAM, its TAP, @@ end PROGRAM STATUS. There is no Debian in it,
# only busybox; tools/test-arm64.py judges.
# usage: arm64-machine.sh PROGRAM...
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh
sysroot=$PWD/build/arm64-sysroot
seconds=${ARM64_SECONDS:-1800} each=120
modules=(fs/overlayfs/overlay.ko drivers/block/loop.ko)

work=$(mktemp -d "$PWD/build/arm64-machine-XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree"/{usr/bin,etc,proc,sys,dev,mnt,tmp,var/tmp,var/lib,run,root,new} "$tree$PWD/build/arm64/tests/unit"
ln -s usr/bin "$tree/bin"
cp "$sysroot/bin/busybox" "$tree/usr/bin/"
for module in "${modules[@]}"; do
    cp "$sysroot"/lib/modules/*/kernel/"$module" "$tree/"
done
cp -r src policy docs packaging "$tree$PWD/"
for program in "$@"; do
    aarch64-linux-gnu-strip -o "$tree$PWD/build/arm64/tests/unit/$program" "build/arm64/tests/unit/$program"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' > "$tree/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$tree/etc/group"

# The first root file system can't be pivoted away from (pivot_root(2)): all of it moves.
cat > "$tree/init" << 'INIT'
#!/bin/busybox sh
/bin/busybox mount -t tmpfs -o size=80%,mode=0755 root /new
/bin/busybox cp -a /usr /bin /etc /dev /mnt /proc /sys /tmp /var /run /root /*.ko /tests /new/
[ -e "/new@WORK@" ] || { /bin/busybox mkdir -p "/new@WORK@" && /bin/busybox cp -a "@WORK@/." "/new@WORK@"; }
exec /bin/busybox switch_root /new /tests
INIT
cat > "$tree/tests" << 'TESTS'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t securityfs security /sys/kernel/security
mount --make-rshared /
for module in /*.ko; do insmod $module; done
ip link set lo up
cd @WORK@
for program in @PROGRAMS@; do
    echo "@@ start $program"
    timeout -s KILL @EACH@ @WORK@/build/arm64/tests/unit/$program < /dev/null 2>&1
    echo "@@ end $program $?"
done
poweroff -f
TESTS
sed -i -e "s,@WORK@,$PWD,g" -e "s,@PROGRAMS@,$*," -e "s,@EACH@,$each," "$tree/tests" "$tree/init"
chmod 755 "$tree/init" "$tree/tests" "$tree" && chmod 1777 "$tree/tmp" "$tree/var/tmp"
(cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 > "$work/initrd"
rm -rf "$tree"

with=(setpriv --pdeathsig KILL --)
"${with[@]}" timeout --kill-after=10 "$seconds" "${with[@]}" nice -n 10 qemu-system-aarch64 -M virt \
    -cpu max,pauth-impdef=on -smp 1 -m 2048 -nographic -no-reboot -nic none \
    -kernel "$sysroot"/boot/vmlinuz-* -initrd "$work/initrd" \
    -append "console=ttyAMA0 quiet loglevel=2 apparmor=0 panic=-1" < /dev/null
