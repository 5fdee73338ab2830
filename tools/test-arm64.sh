#!/bin/bash
# make test-arm64: the core for arm64, and its unit tests: under qemu-user, which runs what asks
# nothing of the kernel that it doesn't know, and on an emulated machine, which runs all.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh

packaging/install-packages.sh build arm64
tools/arm64-sysroot.sh
tools/build.sh arm64
tools/check-binary.sh build/arm64/cloister
say "unit tests under qemu-user"
/usr/bin/python3 tools/test-arm64.py user
say "unit tests on an emulated machine"
/usr/bin/python3 tools/test-arm64.py machine
