"""Fixtures of those who stand in containerd's place before a shim."""

import pytest

from lib import oci_bundle
from lib.shim import Pod


@pytest.fixture(scope="module")
def tree(world):
    return oci_bundle.make_rootfs(world.directory("shim-tree"))


@pytest.fixture
def pod(world, tree):
    pod = Pod(world, tree)
    with pod.events:
        yield pod
        pod.stop()
