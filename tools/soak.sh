#!/bin/bash
# make soak: many commands of all kinds with random kills, and a thousand sandboxes side by side;
# see tests/soak and docs/testing.md. Nothing of it is part of make test.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/lib.sh

packaging/install-packages.sh build test
load_profile packaging/apparmor/cloister-sandbox
tools/build.sh core helpers
as_root env PYTHONDONTWRITEBYTECODE=1 CLOISTER_SOAK_COMMANDS="${SOAK_COMMANDS:-5000}" \
    CLOISTER_SOAK_SEED="${SOAK_SEED:-0}" /usr/bin/python3 -m pytest -s "$@" tests/soak
