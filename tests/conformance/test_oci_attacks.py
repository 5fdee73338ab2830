"""Attacks of the root file system and of those inside a container on an OCI runtime and its host."""

import os
import subprocess
from pathlib import Path

import pytest

ATTACKS = Path(__file__).resolve().parents[1] / "escape"
BUILT = ATTACKS.parents[1] / "build/escape"
NUMBERS = range(3, 40)  # of descriptors that a runtime may have
WAITS = "echo began; exec sleep 1000"


@pytest.fixture(scope="module")
def attacks():
    """The attack programs of tests/escape."""
    subprocess.run(["make", "-s", "-C", ATTACKS, f"OUT={BUILT}"], check=True)
    return BUILT


# --- descriptors ----------------------------------------------------------------------------------

def link_to_descriptors(bundle):
    """The image has a link to each descriptor that whoever enters it may still hold."""
    for number in NUMBERS:
        os.symlink(f"/proc/self/fd/{number}", bundle.rootfs / f"way{number}")
    return bundle


def test_a_working_directory_is_no_descriptor_of_the_runtimes_at_exec(runtime):
    """CVE-2024-21626: a link to /proc/self/fd/N for a working directory, followed by who still holds one of the host's."""
    container = runtime.started(link_to_descriptors(runtime.bundle(own_rootfs=True)).sh(WAITS))
    container.expect(b"began\n")
    for number in NUMBERS:
        for where in (f"/way{number}", f"/proc/self/fd/{number}"):
            outcome = container.exec("sh", "-c", "cat ../../../../../../../../etc/image-file && readlink /proc/self/cwd", opts=("--cwd", where))
            assert outcome.exit != 0 or outcome.out == b"image\n/\n", f"{where} leads out of the container\n{outcome}"
            assert outcome.exit == 0 or b"cwd" in outcome.err, f"{where}\n{outcome}"


def test_a_working_directory_is_no_descriptor_of_the_runtimes_at_create(runtime):
    bundle = link_to_descriptors(runtime.bundle(own_rootfs=True)).sh("cat ../../../../../../../../etc/image-file && readlink /proc/self/cwd")
    for number in NUMBERS:
        bundle.process["cwd"] = f"/way{number}"
        outcome = runtime.run(bundle)
        assert outcome.exit != 0 or outcome.out == b"image\n/\n", f"descriptor {number} leads out of the container\n{outcome}"
        assert outcome.exit == 0 or b"cwd" in outcome.err, f"{number}\n{outcome}"


def test_exec_passes_on_no_descriptor_of_its_own(runtime):
    """A number that the engine has not opened might be the runtime's."""
    container = runtime.started(runtime.bundle().sh(WAITS))
    container.expect(b"began\n")
    runtime.refused(container.exec("true", opts=("--preserve-fds", "20")), "descriptor 3 is not open|descriptor 3: bad file descriptor")
