"""cloister pull from registries and networks that misbehave: what came is used, what didn't is told, and the next pull goes on."""

import base64
import os
import random
import re
import socket
import threading
import time

import pytest

from lib import samples, tars, web_faults as faults
from lib.fake_registry import FakeRegistry
from lib.images import make_image, make_index, make_layer, push
from lib.patience import patience
from lib.proxy import Proxy
from lib.pulling import Pulls, fast_copy
from lib.registry import Registry
from lib.terminal import Terminal
from lib.web import Elsewhere

MIB = 1 << 20
PIECE = 256 << 10  # what cloister-fetch gathers before it writes (src/helpers/fetch/blob.c)
HURRY = 30         # its waits are so many times shorter here
VERY = 600
BASIC = base64.b64encode(b"user:secret").decode()


@pytest.fixture(scope="module")
def big():
    """An image whose layer takes 3 MiB on the way, and a small one."""
    data = random.Random(1).randbytes(3 * MIB)
    return make_image([make_layer([tars.file("data", data)]), make_layer([tars.file("small", "x")])])


@pytest.fixture
def blob(big):
    return big.layers[0].blob


@pytest.fixture(scope="module")
def hurried_programs(world, as_root, as_user):
    return {(cloister.identity, hurry): fast_copy(cloister, world, hurry) for cloister in (as_root, as_user) for hurry in (HURRY, VERY)}


@pytest.fixture
def hurried(pulls, hurried_programs):
    """A store whose pulls don't wait long."""
    return Pulls(hurried_programs[pulls.cloister.identity, HURRY])


def pulled(pulls, image, name, *options):
    """The image is there, and nothing else."""
    outcome = pulls.pull("-q", *options, name).ok()
    pulls.has(image).is_settled()
    return outcome


def asked(server, blob):
    """The requests for a blob, in order: (where its range begins, bytes of the answer)."""
    found = server.wait_ended(blob.digest)
    return [(int(re.fullmatch(r"bytes=(\d+)-(\d*)", seen.range)[1]) if seen.range else 0, seen.size) for seen in found]


# -- connections that break

@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("after", [0, 1, MIB, 3 * MIB - 1])
def test_cut_layer_goes_on_where_it_was(pulls, fake_registry, big, blob, after, reset):
    fake_registry.on(blob.digest, faults.cut(after, reset), nth=1)
    pulled(pulls, big, fake_registry.add(big))
    (first, _), (second, size) = asked(fake_registry, blob)
    assert first == 0 and second <= after and size == blob.size - second
    assert reset or second == after, "what had come was thrown away"


def test_layer_that_is_cut_again_and_again(hurried, fake_registry, big, blob):
    """As long as some of it comes each time."""
    fake_registry.on(blob.digest, faults.cut(MIB + 1))
    pulled(hurried, big, fake_registry.add(big))
    assert [first for first, _ in asked(fake_registry, blob)] == [0, MIB + 1, 2 * MIB + 2, 3 * MIB + 3]


def test_real_registry_behind_a_line_that_breaks(pulls, start, registry, repository, big, blob):
    proxy = start(Proxy(registry))
    push(big, registry, repository)
    proxy.on(blob.digest, faults.cut(MIB), method="GET", nth=1)
    pulled(pulls, big, f"{proxy.address}/{repository}")
    assert [first for first, _ in asked(proxy, blob)] == [0, MIB]


def interrupt(pulls, fake_registry, big, blob, after=2 * MIB):
    """A pull that failed in the middle; its name."""
    name = fake_registry.add(big)
    fake_registry.on(blob.digest, faults.cut(after), nth=1)
    fake_registry.on(blob.digest, faults.hang_up())
    pulls.pull("-q", name).refused(re.escape(name), blob.digest[:19])
    pulls.is_empty("downloads", "layers", "chains")
    assert blob.digest[7:] in pulls.names("downloads")
    fake_registry.forget()
    return name


def test_pull_that_was_interrupted_goes_on(hurried, fake_registry, big, blob):
    name = interrupt(hurried, fake_registry, big, blob)
    pulled(hurried, big, name)
    assert asked(fake_registry, blob) == [(2 * MIB, blob.size - 2 * MIB)]
    hurried.is_settled()


def test_pull_that_goes_on_elsewhere(hurried, start, fake_registry, big, blob):
    """Bytes have a digest, not a place."""
    interrupt(hurried, fake_registry, big, blob)
    other = start(FakeRegistry())
    pulled(hurried, big, other.add(big, "other/name"))
    assert asked(other, blob) == [(2 * MIB, blob.size - 2 * MIB)]


def leave(pulls, blob, data):
    """What an earlier pull may have left of a download."""
    pulls.pull("-q", "127.0.0.1:1/makes/the-store").refused()
    path = pulls.path / "downloads" / blob.digest[7:]
    path.write_bytes(data)
    os.chown(path, pulls.cloister.uid, pulls.cloister.gid)


def leftovers(blob):
    whole = blob.whole()
    wrong = bytes([whole[0] ^ 1]) + whole[1:]
    return {"empty": (b"", [0]), "part": (whole[:MIB + 7], [MIB + 7]), "all": (whole, []), "wrong-part": (wrong[:MIB], [MIB, 0]), "wrong": (wrong, [0]),
            "zeros": (bytes(MIB), [MIB, 0]), "more": (whole + b"more", [0]), "wrong-end": (whole[:-1] + bytes([whole[-1] ^ 1]), [0])}


@pytest.mark.parametrize("what", ["empty", "part", "all", "wrong-part", "wrong", "zeros", "more", "wrong-end"])
def test_what_was_left_of_a_download(pulls, fake_registry, big, blob, what):
    """Whatever it is: at worst the layer is fetched whole."""
    data, wanted = leftovers(blob)[what]
    leave(pulls, blob, data)
    pulled(pulls, big, fake_registry.add(big))
    assert [first for first, _ in (asked(fake_registry, blob) if wanted else [])] == wanted and len(fake_registry.seen(blob.digest)) == len(wanted)


# -- ranges

RANGES = {"none": faults.ignore_range(), "no-content-range": faults.wrong_content_range(None), "other-content-range": faults.wrong_content_range("bytes 0-9/10"),
          "nonsense": faults.wrong_content_range("bytes=here"), "416": faults.answer(416)}


@pytest.mark.parametrize("what", RANGES)
def test_server_without_ranges(hurried, fake_registry, big, blob, what):
    """The layer comes all the same, from its start."""
    fake_registry.on(blob.digest, faults.cut(MIB), nth=1)
    fake_registry.on(blob.digest, RANGES[what], nth=1)
    pulled(hurried, big, fake_registry.add(big))
    assert len(asked(fake_registry, blob)) <= 3


def test_range_of_other_bytes_is_found_out(hurried, fake_registry, big, blob):
    """By the digest. What came is thrown away, and the next pull begins anew."""
    fake_registry.on(blob.digest, faults.cut(MIB), nth=1)
    fake_registry.on(blob.digest, faults.other_range(3), nth=1)
    name = fake_registry.add(big)
    hurried.pull("-q", name).refused(re.escape(name), blob.digest[:19])
    hurried.is_empty("layers", "chains", "downloads")
    assert blob.digest[7:] not in hurried.names("downloads")
    fake_registry.forget()
    pulled(hurried, big, name)
    assert asked(fake_registry, blob) == [(0, blob.size)]


@pytest.mark.parametrize("at", [0, -1, MIB])
def test_wrong_bytes_and_then_the_right_ones(pulls, fake_registry, big, blob, at):
    fake_registry.on(blob.digest, faults.flip(at), nth=1)
    name = fake_registry.add(big)
    pulls.pull("-q", name).refused(re.escape(name), blob.digest[:19])
    pulls.is_empty("layers", "chains", "downloads")
    assert blob.digest[7:] not in pulls.names("downloads")
    pulled(pulls, big, name)
    assert asked(fake_registry, blob)[1] == (0, blob.size)


@pytest.mark.parametrize("by", [-1000, 1000])
def test_length_that_lies(hurried, fake_registry, big, blob, by):
    """About one answer. Nothing of more or fewer bytes is the layer."""
    fake_registry.on(blob.digest, faults.wrong_length(by), nth=1)
    outcome = hurried.pull("-q", fake_registry.add(big))
    assert outcome.exit == 0 or outcome.refused(blob.digest[:19], "bytes")
    pulled(hurried, big, fake_registry.add(big))


@pytest.mark.parametrize("broken", [False, True], ids=["no-end", "no-number"])
def test_chunks_that_break_off(pulls, fake_registry, big, blob, broken):
    fake_registry.on(blob.digest, faults.truncated_chunked(MIB, broken), nth=1)
    pulled(pulls, big, fake_registry.add(big))


# -- too much, too slowly

ENDLESS = {"no-length": {}, "chunked": {"chunked": True}, "long": {"length": 1 << 50}}


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.parametrize("where", ["manifest", "config", "layer"])
def test_body_without_an_end(hurried, fake_registry, big, blob, where, what):
    config = big.all_blobs()[0]
    pattern = {"manifest": "/manifests/", "config": config.digest, "layer": blob.digest}[where]
    fake_registry.on(pattern, faults.endless(**ENDLESS[what]))
    name = fake_registry.add(big)
    outcome = hurried.pull("-q", name).refused(re.escape(name), "bytes")
    assert outcome.seconds < patience(20)
    hurried.is_empty("layers", "chains", "downloads")
    assert sum((hurried.path / "downloads" / name).stat().st_size for name in hurried.names("downloads")) <= blob.size
    fake_registry.forget()
    pulled(hurried, big, name)


@pytest.mark.parametrize("where", ["/manifests/", "/blobs/"])
@pytest.mark.parametrize("what", ["silent", "slow-head", "slow"])
def test_server_that_keeps_us(pulls, hurried_programs, fake_registry, big, where, what):
    """By a byte now and then, or by none. The real waits are half a minute and more; here they are divided."""
    hurried = Pulls(hurried_programs[pulls.cloister.identity, VERY], pulls.path)
    until = threading.Event()
    fault = {"silent": faults.silent(until), "slow-head": faults.slow_head(0.02, until), "slow": faults.slow(0.02, until)}[what]
    fake_registry.on(where, fault)
    name = fake_registry.add(big)
    outcome = hurried.pull("-q", name).refused(re.escape(name), "sent nothing|no whole answer|bytes a second")
    assert outcome.seconds < patience(30), f"{outcome}"
    until.set()
    fake_registry.forget()
    pulled(pulls, big, name)


@pytest.mark.parametrize("quiet", [(), ("-q",)], ids=["loud", "quiet"])
def test_a_server_that_thinks_is_named_at_a_terminal(pulls, fake_registry, big, quiet):
    """Once, when it has thought for two seconds, and in the place of what comes after."""
    until = threading.Event()
    fake_registry.on("/manifests/", faults.silent(until), nth=1)
    name = fake_registry.add(big)
    asking = f"asking {fake_registry.address} ...".encode()
    with Terminal(columns=60) as terminal:
        terminal.launch(pulls.cloister.argv("pull", name, *quiet), pulls.cloister.environment({**pulls.env, "TERM": "vt100"}))
        if quiet:
            time.sleep(3)
        else:
            terminal.expect(asking + b"\033[K\r\n")
        until.set()
        assert terminal.wait().exit == 0
    seen = bytes(terminal.seen)
    assert seen.count(asking) == (not quiet) and (quiet or b"\033[1A" in seen)


@pytest.mark.parametrize("fault", [faults.header_flood(MIB, 100), faults.header_flood(MIB), faults.garbage(b"SSH-2.0-OpenSSH\r\n"), faults.garbage(b"\0" * 1000)],
                         ids=["headers", "header", "ssh", "zeros"])
def test_what_is_no_answer(hurried, fake_registry, big, fault):
    fake_registry.on("/manifests/", fault)
    hurried.pull("-q", fake_registry.add(big)).refused("some/name")
    hurried.is_empty()


# -- trouble that passes, and that doesn't

@pytest.mark.parametrize("fault", [faults.answer(500), faults.answer(503), faults.hang_up(), faults.hang_up(True), faults.too_many("0"), faults.too_many("nonsense")],
                         ids=["500", "503", "fin", "rst", "429", "429-nonsense"])
def test_trouble_that_passes(hurried, fake_registry, big, blob, fault):
    fake_registry.on("/manifests/", fault, nth={1, 2})
    fake_registry.on("/blobs/", fault, nth={1, 4})
    pulled(hurried, big, fake_registry.add(big))


def test_registry_says_how_long_to_wait(root_pulls, fake_registry, big):
    fake_registry.on("/manifests/", faults.too_many("1"), nth=1)
    assert pulled(root_pulls, big, fake_registry.add(big)).seconds >= 1


@pytest.mark.parametrize("after", ["3600", "99999999999999999999", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_registry_that_wants_too_long_a_wait(pulls, fake_registry, big, after):
    fake_registry.on("/manifests/", faults.too_many(after))
    outcome = pulls.pull("-q", fake_registry.add(big)).refused("too many requests", r"come back in \d+ s")
    assert outcome.seconds < patience(5) and len(fake_registry.seen("/manifests/")) == 1
    pulls.is_empty()


@pytest.mark.parametrize("where", ["/manifests/", "/blobs/"])
def test_trouble_that_stays(hurried, fake_registry, big, where):
    fake_registry.on(where, faults.answer(500, [], b'{"errors":[{"code":"UNKNOWN","message":"its disk is full"}]}'))
    name = fake_registry.add(big)
    hurried.pull("-q", name).refused("500", "its disk is full")
    hurried.is_empty()
    fake_registry.forget()
    pulled(hurried, big, name)


def test_layer_that_the_registry_lacks(pulls, fake_registry, big, blob):
    name = fake_registry.add(big)
    lacking = fake_registry.resources.pop(f"/v2/some/name/blobs/{blob.digest}")
    pulls.pull("-q", name).refused("has no blob", blob.digest[:19])
    assert len(fake_registry.seen(blob.digest)) == 1, "what isn't there is asked for once"
    pulls.is_empty("layers", "chains", "downloads")
    assert blob.digest[7:] not in pulls.names("downloads")
    fake_registry.resources[f"/v2/some/name/blobs/{blob.digest}"] = lacking
    pulled(pulls, big, name)


def test_nobody_listens(pulls):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        outcome = pulls.pull("-q", f"127.0.0.1:{free.getsockname()[1]}/some/name").refused("can't connect", "is the registry running")
    assert outcome.seconds < patience(10)
    pulls.is_empty()


def test_registry_that_vanishes_and_comes_back(hurried, world, start, big, blob):
    """Its port is another then; the bytes are the same."""
    directory = world.directory("registry")
    with Registry(directory) as registry:
        push(big, registry, "a/b")
        with Proxy(registry) as proxy:
            told = threading.Event()

            def half(exchange):
                faults.cut(MIB)(exchange)
                registry.service.process.kill()
                told.set()
            proxy.on(blob.digest, half, nth=1)
            hurried.pull("-q", f"{proxy.address}/a/b").refused("layer sha256:")  # this one, or one that is asked for afterwards
            assert told.is_set()
    hurried.is_empty("downloads", "layers", "chains")
    registry = start(Registry(directory))
    pulled(hurried, big, f"{registry.address}/a/b")
    registry.wait_requests(blob.digest, agent="^cloister/")
    assert sum(request.size for request in registry.requests if blob.digest in request.path and request.agent.startswith("cloister/")) == blob.size - MIB


# -- redirects, and who gets to know the secret

@pytest.fixture
def guarded(pulls, start, big):
    """A registry that asks for credentials, which the store's owner has."""
    server = start(FakeRegistry())
    server.name = server.add(big)

    def ask(exchange):
        reply = exchange.honest() if exchange.seen.header("Authorization") == f"Basic {BASIC}" else None
        exchange.send(reply) if reply else faults.challenge('Basic realm="tests"')(exchange)
    server.guard = ask
    server.on("/manifests/", ask)
    pulls.credentials({"auths": {server.address: {"auth": BASIC}}})
    return server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_layers_elsewhere_are_fetched_without_credentials(pulls, start, guarded, big, status):
    store = start(FakeRegistry())
    store.add(big)
    guarded.on("/blobs/", faults.redirect_to_server(store, status))
    pulled(pulls, big, guarded.name)
    assert "basic" in {seen.authorization for seen in guarded.seen()}, "or nothing was at stake"
    assert store.seen("/blobs/") and {seen.header("Authorization") for seen in store.seen()} == {None}


def test_elsewhere_that_asks_for_credentials_gets_none(pulls, start, guarded, elsewhere):
    elsewhere.on("", faults.challenge('Basic realm="give me"'))
    guarded.on("/blobs/", faults.redirect_to_server(elsewhere))
    pulls.pull("-q", guarded.name).refused("wants credentials", "gets none")
    assert elsewhere.seen() and {seen.header("Authorization") for seen in elsewhere.seen()} == {None}
    pulls.is_empty()


def test_what_elsewhere_sends_is_checked(pulls, guarded, elsewhere):
    guarded.on("/blobs/", faults.redirect_to_server(elsewhere))
    pulls.pull("-q", guarded.name).refused("bytes")
    pulls.is_empty()


def test_token_realm_elsewhere_gets_no_credentials(pulls, start, guarded, big):
    """A registry that has been taken over names its own server for tokens."""
    thief = start(Elsewhere(b'{"token": "stolen"}'))
    guarded.forget()
    guarded.on("/v2/", faults.challenge(f'Bearer realm="http://localhost:{thief.port}/token",service="s"'))
    pulls.pull("-q", guarded.name).refused("not sent|weren't sent", "localhost")
    assert {seen.header("Authorization") for seen in thief.seen()} <= {None}
    assert not [seen for seen in thief.seen() if b"secret" in seen.body or BASIC in seen.target]
    pulls.is_empty()


def test_no_redirect_leads_from_https_to_http(pulls, start, authority, big, elsewhere):
    server = start(FakeRegistry(tls=authority))
    name = server.add(big)
    server.on("/blobs/", faults.redirect_to_server(elsewhere))
    pulls.trust(server).pull("-q", name).refused("https to plain http")
    assert not elsewhere.seen()
    pulls.is_empty()


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:secret@127.0.0.1/", "http://169.254.169.254/latest", "//", "http://[::1", "\x01"])
def test_redirects_that_lead_nowhere(pulls, fake_registry, big, to):
    fake_registry.on("/blobs/", faults.redirect(to))
    outcome = pulls.pull("-q", fake_registry.add(big)).refused("some/name")
    assert outcome.seconds < patience(10)
    pulls.is_empty()


def test_redirects_in_a_circle(pulls, fake_registry, big):
    fake_registry.on("/blobs/", faults.redirect_loop(length=3))
    pulls.pull("-q", fake_registry.add(big)).refused("redirects more than")
    pulls.is_empty()


# -- mirrors

def test_mirrors_are_asked_in_their_order(hurried, start, big, blob, fake_registry):
    """The first is down, the second lacks the layer, the third has it; the registry isn't asked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{free.getsockname()[1]}"
        second, third = start(FakeRegistry()), start(FakeRegistry())
        for mirror in (second, third):
            mirror.add(big)
        del second.resources[f"/v2/some/name/blobs/{blob.digest}"]
        hurried.configure({"registries": {fake_registry.address: {"mirrors": [down, second.url, third.url]}}})
        name = fake_registry.add(big)
        pulled(hurried, big, name)
    assert second.seen(blob.digest) and asked(third, blob) == [(0, blob.size)] and not fake_registry.seen()
    assert hurried.named(f"{name}") == big.digest[7:], "its name is the registry's, not the mirror's"


def test_registry_follows_its_mirrors(hurried, start, big, fake_registry):
    mirror = start(FakeRegistry())
    mirror.on("", faults.answer(503))
    hurried.configure({"registries": {fake_registry.address: {"mirrors": [mirror.url]}}})
    pulled(hurried, big, fake_registry.add(big))
    assert mirror.seen()


def test_error_of_all_places_tells_of_each(hurried, start, big, fake_registry):
    mirror = start(FakeRegistry())
    mirror.on("", faults.answer(403))
    hurried.configure({"registries": {fake_registry.address: {"mirrors": [mirror.url]}}})
    hurried.pull("-q", f"{fake_registry.address}/not/there").refused(f"{fake_registry.address} has no image", f"before that, .*{mirror.address} denies")


def test_mirror_that_breaks_in_the_middle(hurried, start, big, blob, fake_registry):
    """The registry goes on where the mirror was."""
    mirror = start(FakeRegistry())
    mirror.add(big)
    mirror.on(blob.digest, faults.cut(MIB), nth=1)
    mirror.on(blob.digest, faults.hang_up())
    hurried.configure({"registries": {fake_registry.address: {"mirrors": [mirror.url]}}})
    pulled(hurried, big, fake_registry.add(big))
    assert asked(fake_registry, blob) == [(MIB, blob.size - MIB)]


def test_mirror_gets_no_credentials_of_its_registry(pulls, start, guarded, big):
    mirror = start(FakeRegistry())
    mirror.on("", faults.challenge('Basic realm="mirror"'))
    pulls.configure({"registries": {guarded.address: {"mirrors": [mirror.url]}}})
    pulled(pulls, big, guarded.name)
    assert mirror.seen() and {seen.header("Authorization") for seen in mirror.seen()} == {None}


def test_plain_http_only_where_it_is_allowed(root_pulls, fake_registry, big, world):
    """Loopback is; another name of this machine has to be named. Its name is made up here, in an /etc/hosts of the test's own."""
    name = fake_registry.add(big)
    root_pulls.configure("{}\n")
    (root_pulls.config / "hosts").write_text("127.0.0.1 localhost registry.tests\n")
    named = name.replace("127.0.0.1", "registry.tests")
    root_pulls.pull("-q", named).refused("registry.tests", "http: true|TLS")
    assert not fake_registry.seen()
    root_pulls.configure({"registries": {named.partition("/")[0]: {"http": True}}})
    pulled(root_pulls, big, named)


def test_index_and_layers_from_a_bad_line(hurried, fake_registry):
    """Everything is cut once."""
    image = samples.small_image()
    index = make_index([image])
    name = fake_registry.add(index)
    for path in list(fake_registry.resources):
        fake_registry.on(re.escape(path) + "$", faults.cut(100), nth=1)
    pulled(hurried, image, name)
