"""Fixtures of every test that runs an OCI runtime: see lib/oci.py."""

import pytest

from lib import oci, oci_bundle
from lib.oci_leaks import OciLeaks
from lib.orphans import adopt_orphans
from lib.trees import snapshot


@pytest.fixture(scope="session")
def oci_program():
    path = oci.program()
    if path is None:
        pytest.fail("build/bin/cloister-oci is not there: run make first, or set CLOISTER_OCI", pytrace=False)
    adopt_orphans(True)
    return path


@pytest.fixture(scope="session")
def oci_tree(world):
    """The root file system that bundles share, and no container may change."""
    tree = oci_bundle.make_rootfs(world.directory("oci-tree"))
    before = snapshot(tree)
    yield tree
    after = snapshot(tree)
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    assert not changed, f"containers changed their image: {changed}"


@pytest.fixture(scope="session")
def oci_leaks(world, oci_tree):
    made = OciLeaks(world)
    yield made
    made.remove_cgroups()


@pytest.fixture
def make_runtime(request, world, oci_program, oci_tree, oci_leaks):
    """Makes runtimes; at the end all their containers are deleted, and nothing of them may be left."""
    made = []

    def make(identity="root", view=None):
        if view is None:
            view = "v1-only" if oci_program.name == "crun" else "machine"  # crun refuses the hybrid
        made.append(oci.Runtime(world, oci_program, oci_tree, identity, view))
        return made[-1]

    yield make
    for each in made:
        each.remove_all()
    try:
        oci_leaks.check(made)
    except AssertionError:
        if request.node.get_closest_marker("xfail") is None:  # what a reference fails at it may leave as well
            raise
