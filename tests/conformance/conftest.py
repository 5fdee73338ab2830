"""Fixtures for the tests of an OCI runtime against the specification: see lib/oci.py."""

import pytest

from lib import oci, oci_bundle
from lib.oci_leaks import OciLeaks
from lib.trees import snapshot


def pytest_configure(config):
    config.addinivalue_line("markers", "lacks(runtime, reason, strict=True): a reference runtime fails this, and why the test is right all the same")


def pytest_collection_modifyitems(items):
    path = oci.program()
    for item in items:
        for mark in item.iter_markers("lacks"):
            name, reason = mark.args
            if path is not None and path.name == name:
                item.add_marker(pytest.mark.xfail(reason=f"{name}: {reason}", strict=mark.kwargs.get("strict", True)))


@pytest.fixture(scope="session")
def oci_program():
    path = oci.program()
    if path is None:
        pytest.fail("build/bin/cloister-oci is not there: run make first, or set CLOISTER_OCI", pytrace=False)
    oci.become_subreaper()
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


@pytest.fixture(scope="module", autouse=True)
def nothing_left_after_the_module():
    """In place of that of sandboxes: each test here looks for itself."""


@pytest.fixture
def make_runtime(world, oci_program, oci_tree, oci_leaks):
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
    oci_leaks.check(made)
    for each in made:
        each.ids.clear()


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
