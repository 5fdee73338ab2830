"""Fixtures for the tests of an OCI runtime against the specification: see lib/oci.py and lib/oci_rig.py."""

import os
from pathlib import Path

import pytest

from lib import oci
from lib.world import command


@pytest.fixture(scope="module", autouse=True)
def nothing_left_after_the_module():
    """In place of that of sandboxes: each test here looks for itself."""


@pytest.fixture
def runtime(make_runtime):
    """As root."""
    return make_runtime()


@pytest.fixture(params=["root", "user"])
def anyone(request, make_runtime):
    """As root, and as an ordinary user whose containers have user namespaces and no cgroups."""
    return make_runtime(request.param)


@pytest.fixture
def nothing_left(oci_leaks):
    return oci_leaks.check


@pytest.fixture
def host_mounts(make_runtime):
    """Mounts things on the host, and takes them away before anybody looks for leftovers."""
    made = []

    def mount(*words):
        command("mount", *words)
        made.append(words[-1])
        return words[-1]

    yield mount
    for place in reversed(made):
        command("umount", "-l", place)


@pytest.fixture
def waiting(request):
    """Starts a bundle whose program says that it runs, and waits: what the kernel shows then is the program's."""
    def start(runtime, bundle, *words, **more):
        container = runtime.started(bundle.sh("echo began; exec sleep 1000"), *words, **more)
        container.expect(b"began\n")
        return container
    return start


@pytest.fixture(params=oci.VIEWS)
def viewed(request, make_runtime, oci_program):
    """As root in each view that this machine can give and the runtime takes."""
    view = request.param
    hybrid = os.path.ismount("/sys/fs/cgroup/unified")
    if view != "machine" and not hybrid:
        pytest.skip("no v1 hybrid here: its parts can't be looked at alone")
    if oci_program.name == "crun" and view != "v1-only":
        pytest.xfail("crun refuses the hybrid, and in its v2 part it fails on a limit")
    return make_runtime(view=view)


@pytest.fixture(params=["v1"])
def v1(request, make_runtime):
    """Where v1's controllers are: the machine's own view if it is a hybrid."""
    if not os.path.isdir("/sys/fs/cgroup/memory"):
        pytest.skip("no cgroup v1 here")
    return make_runtime()


@pytest.fixture(params=["v2"])
def v2(request, make_runtime, oci_program):
    """Where v2 is all there is."""
    if oci_program.name == "crun":
        pytest.xfail("crun fails in a v2 view here on a limit of its own")
    runtime = make_runtime(view="v2-only" if os.path.ismount("/sys/fs/cgroup/unified") else "machine")
    runtime.controllers = Path("/sys/fs/cgroup/unified/cgroup.controllers" if runtime.view == "v2-only" else "/sys/fs/cgroup/cgroup.controllers").read_text().split()
    return runtime
