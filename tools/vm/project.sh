#!/bin/bash
# Put the programs and what their tests need on the disk image IMAGE, as root.
# What EXTRA holds is put into its directory rig/.
# usage: project.sh IMAGE EXTRA OWNER
set -euo pipefail
cd "$(dirname "$0")/../.."
source tools/lib.sh
image=$1 extra=$2 owner=$3
tree=$(mktemp -d "${TMPDIR:-/var/tmp}/project-XXXXXX")
trap 'rm -rf "$tree"' EXIT

tar -c --owner=0 --group=0 --exclude-vcs --exclude=__pycache__ --exclude=./build . | tar -x -C "$tree"
tar -c --owner=0 --group=0 build/bin build/escape | tar -x -C "$tree"
mkdir "$tree/rig"
cp "$extra"/* "$tree/rig/"
chmod 755 "$tree"
/usr/bin/python3 -m compileall -q "$tree/tests"  # an emulated processor takes long for it
rm -f "$image"
truncate -s 1G "$image"
quietly mke2fs -q -t ext4 -L project -d "$tree" "$image"
chown "$owner" "$image"
