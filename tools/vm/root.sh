#!/bin/bash
# Make the guest's root file system in DIRECTORY, as root: root.img, vmlinuz and initrd. It holds
# Debian 12 with the packages of packaging/debian/vm-guest.txt and one unit of ours, and knows
# nothing of the project: that comes on a disk of its own (project.sh).
# usage: root.sh DIRECTORY OWNER
set -euo pipefail
cd "$(dirname "$0")/../.."
source tools/lib.sh
directory=$1 owner=$2
size=6G  # sparse
tree=$directory/tree

packages=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' packaging/debian/vm-guest.txt | paste -sd,)
rm -rf "$directory"
mkdir -p "$directory"
trap 'rm -rf "$tree"' EXIT
quietly mmdebstrap --mode=root --variant=minbase --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    bookworm "$tree"

echo cloister-rig > "$tree/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$tree/etc/hosts"
cat > "$tree/etc/systemd/system/rig.service" << 'UNIT'
[Unit]
Description=tests of sandboxes
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mount LABEL=project /work && exec /work/tools/vm/guest.sh'
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$tree/work" "$tree/etc/systemd/system/multi-user.target.wants"
ln -s ../rig.service "$tree/etc/systemd/system/multi-user.target.wants/"
for unit in serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer \
    e2scrub_reap.service dpkg-db-backup.timer fstrim.timer docker.service docker.socket containerd.service podman.service podman.socket \
    podman-restart.service podman-auto-update.timer; do
    ln -sfn /dev/null "$tree/etc/systemd/system/$unit"
done

cp "$tree"/boot/vmlinuz-* "$directory/vmlinuz"
cp "$tree"/boot/initrd.img-* "$directory/initrd"
truncate -s $size "$directory/root.img"
quietly mke2fs -q -t ext4 -L root -d "$tree" "$directory/root.img"
chown -R "$owner" "$directory/root.img" "$directory/vmlinuz" "$directory/initrd"
