"""Fixtures of the image tests: registries, other servers and engines, each on the loopback interface."""

import contextlib
import itertools

import pytest

from lib.certificates import Authority
from lib.fake_registry import FakeRegistry
from lib.pulling import Pulls
from lib.registry import Registry
from lib.token_server import TokenServer
from lib.web import Elsewhere

USERS = {"user": "secret"}


@pytest.fixture(scope="session")
def authority(world):
    """The CA of all servers with TLS."""
    return Authority(world.directory("ca"))


@pytest.fixture(scope="session")
def registry(world, leaks):
    """Everybody's registry, without TLS and users. Tests push under names of their own."""
    with leaks.settled():
        made = Registry(world.directory("registry"))
    yield made
    made.stop()


@pytest.fixture
def start():
    """Starts a server or engine for this test alone: start(Proxy(registry))."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def start_registry(world, start):
    """A registry for this test alone, with the options of lib/registry.py."""
    return lambda **options: start(Registry(world.directory("registry"), **options))


@pytest.fixture
def fake_registry(start):
    return start(FakeRegistry())


@pytest.fixture
def elsewhere(start):
    """Another host that nobody has credentials for."""
    return start(Elsewhere())


@pytest.fixture
def token_server(world, start):
    return start(TokenServer(world.directory("tokens"), USERS))


@pytest.fixture
def pulls(cloister):
    """An empty store, as root and as the ordinary user, one after the other."""
    return Pulls(cloister)


_repositories = itertools.count(1)


@pytest.fixture
def repository():
    """A name in a registry that no other test has."""
    return f"test-{next(_repositories)}/image"


@pytest.fixture
def root_pulls(as_root):
    return Pulls(as_root)


@pytest.fixture
def user_pulls(as_user):
    return Pulls(as_user)
