"""Fixtures that every test of sandboxes uses; see lib/world.py for the isolation."""

import os
import signal

import pytest

from lib import detached, trees
from lib.leaks import Leaks
from lib.runner import Cloister
from lib.world import KEEPER, World, find_binary, mountinfo


pytest_plugins = ("lib.skips", "lib.slow_host", "lib.rig", "lib.orphans", "lib.oci_rig", "lib.oci_engines", "lib.oci_references")


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("these tests run as root (they make an ordinary user to be that too): sudo make test", 4)
    os.environ.pop("XDG_RUNTIME_DIR", None)  # a login's own; a test that needs one sets it
    for number in (signal.SIGHUP, signal.SIGQUIT):  # children inherit what nohup ignores
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    for item in items:
        if os.environ.get("CLOISTER_SOAK") and item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(4 * 3600))  # lengthened on purpose


@pytest.fixture(scope="session")
def world():
    """Mounts, cgroups and directories of this pytest process."""
    made = World()
    yield made
    made.leave()


@pytest.fixture(scope="session")
def binary(world):
    """The program under test: build/bin/cloister, or $CLOISTER."""
    path = find_binary(world)
    if path is None:
        pytest.fail("build/bin/cloister is not there: run make first, or set CLOISTER", pytrace=False)
    return path


@pytest.fixture(scope="session")
def as_root(world, binary):
    return Cloister(world, binary, "root")


@pytest.fixture(scope="session")
def as_user(world, binary):
    """The ordinary user, with --without limits where nobody delegated a cgroup."""
    return Cloister(world, binary, "user", without=[] if delegated_to_user() else None)


@pytest.fixture(scope="session")
def unlimited_user(world, binary):
    """The ordinary user with --without limits, also where a cgroup was delegated."""
    return Cloister(world, binary, "user", without=["limits"])


def delegated_to_user():
    """Was this process started in a cgroup that is the ordinary user's, by tools/vm.sh?"""
    return os.environ.get("CLOISTER_DELEGATED") == "user"


@pytest.fixture(params=["root", "user"])
def cloister(request, as_root, as_user):
    """cloister as root and as the ordinary user, one after the other."""
    return as_root if request.param == "root" else as_user


@pytest.fixture(params=["own", "v1"], ids=["machine", "v1-only"])
def limited(request, world, binary, as_root):
    """cloister in each view of the cgroups that this machine can give: as root, or as whom they were delegated to."""
    if request.param == "v1":
        return in_v1_view(world, binary)
    return request.getfixturevalue("as_user") if delegated_to_user() else as_root


def in_v1_view(world, binary):
    if not os.path.ismount("/sys/fs/cgroup/unified"):
        pytest.skip("no v1 hybrid here: its v1 part can't be looked at alone")
    return Cloister(world, binary, "root", view="v1")


@pytest.fixture(params=["machine", "v1-only", "user"])
def everywhere(request, world, binary, as_root, as_user):
    """cloister as root in each view of the cgroups, and as the ordinary user, who has none."""
    if request.param == "v1-only":
        return in_v1_view(world, binary)
    return as_root if request.param == "machine" else as_user


@pytest.fixture(scope="session")
def probe(world):
    return trees.build_probe(world.directory("probe"))


@pytest.fixture(scope="session")
def rootfs(world, probe):
    """A small tree that everybody can read. Nobody writes to it: see own_rootfs."""
    tree = trees.make_tree(world.directory("rootfs"), probe)
    before = tree.snapshot()
    yield tree
    changed = {p for p, _ in set(before.items()) ^ set(tree.snapshot().items())}
    assert not changed, f"sandboxes changed their image: {sorted(changed)}"


@pytest.fixture
def own_rootfs(world, probe):
    """A tree of the test's own, to be spoilt."""
    return trees.make_tree(world.directory("own-rootfs"), probe)


@pytest.fixture
def detach(cloister, rootfs):
    """Starts a detached sandbox (lib/detached.py)."""
    yield from detached.starter(cloister, rootfs)


@pytest.fixture(scope="session")
def first_start(world, as_root):
    """What the first start makes and leaves for the others; see lib/world.py on the processor."""
    with world.on_one_processor():
        assert as_root.run(f"rootfs:{world.directory('no-image')}", "true").exit == 127


@pytest.fixture(scope="session")
def bare(first_start):
    """Where the bare mount namespace of root's sandboxes is kept."""
    if os.path.exists("/sys/fs/selinux/enforce"):
        pytest.skip("with SELinux there is no bare mount namespace")
    kept = KEEPER / "mnt-1"
    assert f" {kept} " in mountinfo(), f"no bare mount namespace: {list(KEEPER.iterdir())}"
    return kept


@pytest.fixture(scope="session")
def leaks(world, as_root, as_user, first_start):
    return Leaks(world, [as_root, as_user])


@pytest.fixture
def nothing_left(leaks):
    """Call it to look for leftovers now; it looks at the end of the test as well.

    What tests before it killed on purpose is swept first.
    """
    leaks.check(prune=True)
    yield leaks.check
    leaks.check()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_after_the_module(leaks):
    yield
    # some tests end by killing a supervisor: what that leaves is prune's to sweep
    leaks.check(prune=True, files=True)


def pytest_make_parametrize_id(config, val, argname):
    """Values as short, plain words: whole kilobytes and escapes stay out of the names of tests."""
    if isinstance(val, (str, bytes)):
        plain = ascii(val)[1:-1] if isinstance(val, str) else ascii(val)[2:-1]
        return plain if len(plain) <= 30 else f"{plain[:24]}...{len(plain)}"
    return None
