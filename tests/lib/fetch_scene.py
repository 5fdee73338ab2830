"""What the tests of cloister-fetch share: fixtures, and a registry with something to fetch."""

import contextlib
import json
import os

import pytest

from lib.certificates import Authority
from lib.fetcher import Endpoint, Fetcher
from lib.http_fakes import OverFile, Shelf, Tokens, digest_of
from lib.runner import stat_fields
from lib.world import find_binary

USER = ("user", "of-the-user-only")
SMALL = json.dumps({"schemaVersion": 2}).encode()
BIG = os.urandom(3 << 20)


@pytest.fixture(scope="session")
def program(world):
    path = find_binary(world, "cloister-fetch")
    if path is None:
        pytest.fail("build/bin/cloister-fetch is not there: run make first", pytrace=False)
    return path


@pytest.fixture
def start():
    """Starts what has a stop() for this test alone."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture(scope="session")
def authority(world):
    return Authority(world.directory("ca"))


@pytest.fixture
def pem(authority):
    return authority.ca.read_text()


@pytest.fixture
def fetch(start, program, request):
    """The program, with every wait a thirtieth. It knows the files that are there when it starts."""
    if "names" in request.fixturenames:
        request.getfixturevalue("names")
    return start(Fetcher(program))


@pytest.fixture
def shelf(start):
    made = start(Shelf())
    made.put_manifest("latest", SMALL)
    made.big = made.put_blob(BIG)
    return made


@pytest.fixture
def names(start, world):
    """Names for 127.0.0.1: their owners are example.com, example.org and nobody."""
    hosts = ["registry.example.com", "auth.example.com", "storage.example.com", "registry.example.org", "evil.example.org"]
    start(OverFile("/etc/hosts", f"127.0.0.1 localhost {' '.join(hosts)}\n", world.directory("hosts")))
    return hosts


def tls_of(authority, name):
    return authority.server_context(name, names=(f"DNS:{name}", "IP:127.0.0.1"))


def url_of(server, name):
    return f"{'https' if server.tls else 'http'}://{name}:{server.port}"


def user_at(url, **more):
    return Endpoint(url, user=USER[0], secret=USER[1], **more)


def cpu_seconds(pid):
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def get_blob(fetch, *endpoints, digest=None, size=len(BIG), **options):
    return fetch.blob(*endpoints, reference=digest or digest_of(BIG), size=size, **options)


def has_big(result):
    result.ok()
    assert result.body == BIG
    assert result.ticks[-1] == len(BIG) and result.ticks == sorted(result.ticks)
    return result


def make_bearer(start, users=None, **options):
    """A shelf and the token server that opens it."""
    tokens = start(Tokens(users=users, **options))
    shelf = start(Shelf(bearer=(f"{tokens.url}/token", "service of tests")))
    shelf.accepted = lambda token: token in tokens.given
    shelf.put_manifest("latest", SMALL)
    shelf.put_blob(BIG)
    return shelf, tokens
