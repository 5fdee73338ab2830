"""cloister-fetch: what it fetches, and what it survives, driven as the core drives it (src/oci/fetch.h)."""

import errno
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from lib import web_faults as faults
from lib.fetch_scene import (BIG, SMALL, USER, authority, cpu_seconds, fetch, get_blob, has_big, make_bearer, pem, program, shelf,  # noqa: F401
                             start, url_of, user_at)
from lib.fetcher import BLOB, DONE, FAILED, LOGIN, MANIFEST, Endpoint, Fetcher
from lib.http_fakes import MANIFEST_TYPE, NameServer, OverFile, Shelf, basic_of, digest_of, open_sockets
from lib.leaks import HELPERS
from lib.registry import Registry
from lib.runner import poll
from lib.token_server import TokenServer


# -- what is asked and what comes

def test_a_manifest_with_its_type(fetch, shelf):
    shelf.put_manifest("typed", SMALL, f"{MANIFEST_TYPE}; charset=utf-8")
    result = fetch.manifest(shelf.url, reference="typed").ok()
    assert result.body == SMALL
    report = result.report
    assert (report.bytes, report.type, report.url) == (len(SMALL), MANIFEST_TYPE, shelf.url)
    seen = shelf.seen()[-1]
    assert seen.method == "GET" and seen.path == "/v2/library/test/manifests/typed"
    assert re.fullmatch(r"cloister/[0-9.]+", seen.agent)
    for kind in ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.list.v2", "docker.distribution.manifest.v2"):
        assert f"application/vnd.{kind}+json" in seen.header("Accept")
    assert seen.header("Accept-Encoding") == "identity"


def test_a_manifest_is_written_over_what_was_in_its_file(fetch, shelf):
    assert fetch.manifest(shelf.url, start=b"x" * 1000).ok().body == SMALL


def test_a_blob_and_its_ticks(fetch, shelf):
    result = has_big(get_blob(fetch, shelf.url))
    assert result.ticks[0] == 0
    assert result.report.bytes == len(BIG)
    assert shelf.seen()[-1].range is None


def test_the_rest_of_a_blob(fetch, shelf):
    have = 1_234_567
    result = has_big(get_blob(fetch, shelf.url, offset=have, start=BIG[:have]))
    assert result.ticks[0] == have
    assert shelf.seen()[-1].range == f"bytes={have}-"


def test_a_blob_that_is_there_is_not_asked_for(fetch, shelf):
    result = has_big(get_blob(fetch, shelf.url, offset=len(BIG), start=BIG))
    assert result.ticks == [len(BIG)] and not shelf.seen()


def test_an_empty_blob(fetch, shelf):
    digest = shelf.put_blob(b"")
    assert get_blob(fetch, shelf.url, digest=digest, size=0).ok().body == b""


def test_a_blob_without_a_listener(fetch, shelf):
    assert get_blob(fetch, shelf.url, listens=False).ok().body == BIG


def test_progress_is_told_but_not_too_often(fetch, start, shelf):
    go_on = threading.Event()
    shelf.on("/blobs/", faults.slow(0.01, go_on, 50_000))
    started = time.monotonic()
    number = fetch.ask(BLOB, shelf.url, reference=shelf.big, size=len(BIG))
    result = has_big(fetch.wait(number))
    seconds = time.monotonic() - started
    assert 1 <= len(result.progress) <= seconds * 10 + 2
    told = [report.bytes for report in result.progress]
    assert told == sorted(told) and told[-1] <= len(BIG)


def test_many_requests_at_once(fetch, shelf):
    """More than it works on at once: the others wait in the socket."""
    for number in range(100):
        shelf.put_manifest(f"m{number}", b"%d" % number)
    asked = {number: fetch.ask(MANIFEST, shelf.url, reference=f"m{number}") for number in range(100)}
    for number, request in asked.items():
        assert fetch.wait(request).ok().body == b"%d" % number
    assert shelf.connections <= 8, "a registry is asked by few connections, and each is used again"


def test_those_that_wait_for_a_connection_are_not_late(start, program, shelf):
    """Longer than a connection may take to be made."""
    fetch = start(Fetcher(program, hurry=20))  # 1 s to connect, 1.5 s of silence
    shelf.on("/manifests/", lambda e: (time.sleep(1.2), e.send(e.honest())))
    requests = [fetch.ask(MANIFEST, shelf.url) for _ in range(16)]
    for request in requests:
        fetch.wait(request).ok()
    assert shelf.connections == 8 and len(shelf.seen()) == 16


def test_an_ordinary_user_fetches_too(start, world, program, shelf):
    user = ["setpriv", f"--reuid={world.user.pw_uid}", f"--regid={world.user.pw_gid}", "--init-groups", "--"]
    has_big(get_blob(start(Fetcher(program, prefix=user)), shelf.url))


def test_tls_with_an_authority_of_the_endpoints(fetch, start, authority, pem):
    shelf = start(Shelf(tls=authority.server_context()))
    shelf.put_blob(BIG)
    has_big(get_blob(fetch, Endpoint(shelf.url, authority=pem)))


def test_names_are_looked_up_by_dns(start, world, program, shelf):
    server = start(NameServer({"registry.example.net": ["127.0.0.1"]}))
    start(OverFile("/etc/resolv.conf", f"nameserver {server.host}\n", world.directory("resolv")))
    fetch = start(Fetcher(program))
    fetch.manifest(url_of(shelf, "registry.example.net")).ok()
    assert ("registry.example.net", 1) in server.asked
    fetch.manifest(url_of(shelf, "none.example.net")).failed(errno.EHOSTUNREACH, "none.example.net: this name has no address")


def test_a_silent_name_server_holds_up_nobody_else(start, world, program, shelf):
    server = start(NameServer({"silent.example.net": None}))
    start(OverFile("/etc/resolv.conf", f"nameserver {server.host}\noptions timeout:5 attempts:3\n", world.directory("resolv")))
    fetch = start(Fetcher(program, hurry=20))
    started = time.monotonic()
    late = fetch.ask(MANIFEST, url_of(shelf, "silent.example.net"))
    while late not in fetch.results:
        asked = time.monotonic()
        fetch.manifest(shelf.url).ok()
        assert time.monotonic() - asked < 0.8
        time.sleep(0.1)
    fetch.wait(late).failed(errno.ETIMEDOUT, "silent.example.net")
    assert time.monotonic() - started < 4


# -- the core

def test_it_ends_with_its_core(start, program, shelf):
    fetch = start(Fetcher(program))
    shelf.on("/blobs/", faults.silent(threading.Event()))
    fetch.ask(BLOB, shelf.url, reference=shelf.big, size=len(BIG))
    shelf.wait_seen("/blobs/")
    assert fetch.stop() == 0 and fetch.error == ""


def test_it_ends_with_its_core_when_it_takes_no_more(start, program, shelf):
    fetch = start(Fetcher(program))
    shelf.on("/manifests/", faults.silent(threading.Event()))
    for _ in range(70):
        fetch.ask(MANIFEST, shelf.url)
    shelf.wait_seen("/manifests/")
    time.sleep(0.3)
    assert cpu_seconds(fetch.pid) < 0.2, "it spins while it waits"
    assert fetch.stop() == 0


@pytest.mark.parametrize("data", [b"x", b"clfetq\r\n" + bytes(16), b"y" * 190_000])
def test_a_message_that_is_none_ends_it(start, program, data):
    fetch = start(Fetcher(program))
    fetch.send(data)
    fetch.process.wait(10)
    assert fetch.stop() == 1 and fetch.error.count("\n") == 1 and "request to cloister-fetch" in fetch.error


def test_requests_that_can_not_be_met_are_answered(fetch, shelf):
    with open("/dev/null", "r+b") as null:
        fd = null.fileno()
        fetch.ask_oddly(MANIFEST, shelf.url).failed(errno.EINVAL, "descriptors")
        fetch.ask_oddly(LOGIN, shelf.url, [fd]).failed(errno.EINVAL, "descriptors")
        fetch.ask_oddly(MANIFEST, shelf.url, [fd, fd]).failed(errno.EINVAL, "descriptors")
        fetch.ask_oddly(BLOB, shelf.url, [fd]).failed(errno.EINVAL, "unknown size")
        fetch.ask_oddly(MANIFEST, shelf.url, [fd], repository="../x").failed(errno.EINVAL, "name")
        fetch.ask_oddly(MANIFEST, shelf.url, [fd], reference="a?b").failed(errno.EINVAL, "name")
        fetch.ask_oddly(MANIFEST, "file:///etc", [fd]).failed(errno.EPROTONOSUPPORT, "endpoint")
        fetch.ask_oddly(MANIFEST, shelf.url + "/x", [fd]).failed(errno.EINVAL, "endpoint")
    assert not shelf.seen()


def test_arguments_are_checked(program):
    for words in (["--hurry=0"], ["--hurry=x"], ["x"], []):
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("this program is cloister's")


# -- bodies that aren't what they should be

CUTS = [0, 1, 100_000, len(BIG) - 1]


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("after", CUTS)
def test_a_cut_blob_goes_on_where_it_was(fetch, shelf, after, reset):
    shelf.on("/blobs/", faults.cut(after, reset), nth=1)
    has_big(get_blob(fetch, shelf.url))
    ranges = [seen.range for seen in shelf.seen("/blobs/")]
    assert len(ranges) == 2 and ranges[0] is None
    if not reset:  # what RST overtook is lost
        assert ranges[1] == (f"bytes={after}-" if after else None)


def test_a_blob_of_many_pieces(fetch, shelf):
    """Each of them is progress: as many as it takes."""
    shelf.on("/blobs/", faults.cut(300_000), nth=range(1, 10))
    has_big(get_blob(fetch, shelf.url))
    assert len(shelf.seen("/blobs/")) == 10


def test_a_blob_that_never_comes_is_given_up(fetch, shelf):
    shelf.on("/blobs/", faults.cut(1000))
    result = get_blob(fetch, shelf.url).failed(errno.ECONNRESET, shelf.address)
    assert len(shelf.seen("/blobs/")) == 5
    assert result.report.bytes == 5000 and result.body == BIG[:5000] and result.ticks[-1] == 5000


def test_a_cut_manifest_is_asked_for_anew(fetch, shelf):
    shelf.on("/manifests/", faults.cut(5), nth=1)
    assert fetch.manifest(shelf.url).ok().body == SMALL


@pytest.mark.parametrize("fault", [faults.ignore_range(), faults.wrong_content_range(None), faults.wrong_content_range("bytes 0-9/10"),
                                   faults.wrong_content_range(f"bytes 0-{len(BIG) - 1}/{len(BIG)}"),
                                   faults.wrong_content_range(f"bytes 1000-{len(BIG) - 1}/{len(BIG) + 1}"),
                                   faults.wrong_content_range(f"bytes 1000-{len(BIG) - 1}/*"), faults.answer(416)],
                         ids=["ignored", "none", "other", "from-0", "other-size", "no-size", "416"])
def test_a_range_that_is_not_to_be_had(fetch, shelf, fault):
    def ranged(exchange):
        (fault if exchange.seen.range else lambda e: e.send(e.honest()))(exchange)

    shelf.on("/blobs/", ranged)
    has_big(get_blob(fetch, shelf.url, offset=1000, start=BIG[:1000]))
    assert len(shelf.seen("/blobs/")) <= 2


def test_wrong_ranges_only(fetch, shelf):
    shelf.on("/blobs/", faults.headers(206, Content_Range="bytes 7-8/9"))
    get_blob(fetch, shelf.url, offset=1000, start=BIG[:1000]).failed(errno.EPROTO, "wrong range")
    assert [seen.range for seen in shelf.seen("/blobs/")] == ["bytes=1000-", None]


def test_what_is_known_is_not_written_again(fetch, shelf):
    """Where a range is ignored, the bytes before it are passed over: they have been hashed already."""
    shelf.on("/blobs/", faults.ignore_range())
    known = b"k" * 1000
    result = get_blob(fetch, shelf.url, offset=1000, start=known).ok()
    assert result.body == known + BIG[1000:]


@pytest.mark.parametrize("fault", [faults.endless(), faults.endless(chunked=True), faults.endless(length=1 << 40),
                                   faults.endless(length=len(BIG)), faults.extra(b"x"), faults.wrong_length(5)],
                         ids=["close", "chunked", "length", "right-length", "extra", "long-length"])
def test_a_blob_has_its_size_and_no_more(fetch, shelf, fault):
    rule = shelf.on("/blobs/", fault)
    result = get_blob(fetch, shelf.url)
    if result.report.kind == DONE:  # what follows the promised length is no part of the body
        assert len(result.body) == len(BIG)
    else:
        assert result.report.code in (errno.EFBIG, errno.EBADMSG), result.report
        assert len(result.body) <= len(BIG)
    assert len(rule.hits) == 1, "it isn't better the next time"
    assert all(seen.size < 64 << 20 for seen in rule.hits), "it was not stopped"


def test_a_blob_shorter_than_its_size(fetch, shelf):
    digest = shelf.put_blob(BIG[:-5])
    get_blob(fetch, shelf.url, digest=digest).failed(errno.EBADMSG, str(len(BIG) - 5), str(len(BIG)))


def test_a_range_that_comes_in_parts(fetch, shelf):
    def part(exchange):
        first = int((exchange.seen.range or "bytes=0-")[6:-1])
        reply = exchange.honest()
        reply.status, reply.body = 206, BIG[first:first + 1_000_000]
        exchange.send(reply.set("Content-Range", f"bytes {first}-{first + len(reply.body) - 1}/{len(BIG)}"))

    shelf.on("/blobs/", part)
    has_big(get_blob(fetch, shelf.url))
    assert len(shelf.seen("/blobs/")) == 4


@pytest.mark.parametrize("fault", [faults.endless(), faults.endless(chunked=True), faults.endless(length=1 << 40)],
                         ids=["close", "chunked", "length"])
def test_a_manifest_is_bounded(fetch, shelf, fault):
    rule = shelf.on("/manifests/", fault)
    result = fetch.manifest(shelf.url, size=100_000).failed(errno.EFBIG, "100000")
    assert result.body == b"" and len(rule.hits) == 1
    fetch.manifest(shelf.url).failed(errno.EFBIG, str(4 << 20))


def test_a_login_s_body_is_bounded(fetch, shelf):
    rule = shelf.on("/v2/$", faults.endless())
    fetch.login(shelf.url).failed(errno.EFBIG)
    assert rule.hits[0].size < 16 << 20


@pytest.mark.parametrize("status, code", [(404, errno.ENOENT), (403, errno.EACCES), (500, errno.EIO)])
def test_a_complaint_is_bounded(fetch, shelf, status, code):
    rule = shelf.on("/manifests/", faults.endless(status=status))
    fetch.manifest(shelf.url).failed(code)
    assert all(seen.size < 16 << 20 for seen in rule.hits)


@pytest.mark.parametrize("fault", [faults.header_flood(1 << 20, 100), faults.header_flood(1 << 20), faults.header_flood(66_000, 6_000),
                                   faults.early_answers(100_000)], ids=["lines", "one-line", "some", "early"])
def test_a_flood_of_headers_ends_the_request(fetch, shelf, fault):
    rule = shelf.on("/manifests/", fault)
    fetch.manifest(shelf.url).failed(errno.EFBIG, "headers", shelf.address)
    assert len(rule.hits) == 1


@pytest.mark.parametrize("data", [b"\0" * 1000, b"220 ftp.example ESMTP\r\n", b"HTTP/1.1 xyz\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n"])
def test_what_is_no_http(fetch, shelf, data):
    shelf.on("/manifests/", faults.garbage(data))
    result = fetch.manifest(shelf.url)
    assert result.report.kind == FAILED and shelf.address in result.report.error


# -- endpoints

BAD_MIRRORS = {"404": faults.answer(404), "500": faults.answer(500), "403": faults.answer(403), "401": faults.answer(401), "429": faults.too_many(),
               "garbage": faults.garbage(b"\0" * 100), "hang-up": faults.hang_up(), "loop": faults.redirect_loop(),
               "flood": faults.header_flood()}


@pytest.mark.parametrize("name", BAD_MIRRORS)
def test_the_next_endpoint_follows_a_bad_one(fetch, start, shelf, name):
    mirror = start(Shelf())
    mirror.on("", BAD_MIRRORS[name])
    result = has_big(get_blob(fetch, mirror.url, shelf.url))
    assert result.report.url == shelf.url
    assert 1 <= len(mirror.seen()) <= 6
    assert fetch.manifest(mirror.url, shelf.url).ok().body == SMALL


def test_the_next_endpoint_follows_one_that_is_not_there(fetch, shelf):
    with Shelf() as gone:
        pass
    assert fetch.manifest(gone.url, shelf.url).ok().report.url == shelf.url
    assert fetch.manifest("http://nobody.invalid", shelf.url, timeout=60).ok().report.url == shelf.url


def test_the_next_endpoint_follows_one_without_tls(fetch, shelf):
    """As the core asks a registry on this machine: https, else http."""
    https = shelf.url.replace("http:", "https:")
    assert fetch.manifest(https, shelf.url).ok().report.url == shelf.url
    result = fetch.manifest(https, shelf.url, reference="missing").failed(errno.ENOENT)
    assert "TLS" not in result.report.error, "that is no news"
    with Shelf() as gone:
        pass
    result = fetch.manifest(gone.url.replace("http:", "https:"), gone.url).failed(errno.ECONNREFUSED)
    assert result.report.error.count("refused") == 1


def test_an_endpoint_that_is_not_there_is_left_alone_for_a_while(start, program, shelf, authority):
    """Not every layer waits for a mirror that is down."""
    fetch = start(Fetcher(program, hurry=10))
    mirror = start(Shelf(tls=authority.server_context()))
    for _ in range(5):
        fetch.manifest(mirror.url, shelf.url).ok()
    assert mirror.connections == 1
    fetch.manifest(mirror.url, shelf.url, reference="missing").failed(errno.ENOENT, mirror.address, "certificate")
    assert mirror.connections == 1
    fetch.manifest(mirror.url).failed(errno.EKEYREJECTED)
    time.sleep(3.1)
    fetch.manifest(mirror.url, shelf.url).ok()
    assert mirror.connections == 3


def test_the_first_endpoint_that_answers_is_enough(fetch, start, shelf):
    second = start(Shelf())
    fetch.manifest(shelf.url, second.url).ok()
    assert not second.connections


def test_a_mirror_that_dies_in_the_middle(fetch, start, shelf):
    mirror = start(Shelf())
    mirror.put_blob(BIG)
    mirror.on("/blobs/", faults.cut(1_000_000), nth=1)
    mirror.on("/blobs/", faults.answer(500))
    result = has_big(get_blob(fetch, mirror.url, shelf.url))
    assert result.report.url == shelf.url
    assert shelf.seen("/blobs/")[0].range == "bytes=1000000-"


def test_the_last_error_is_the_origin_s_with_a_word_about_mirrors(fetch, start, shelf):
    first, second = start(Shelf()), start(Shelf())
    second.on("", faults.answer(500, [], b'{"errors":[{"code":"BROKEN"}]}'))
    result = fetch.manifest(first.url, second.url, shelf.url, reference="missing")
    result.failed(errno.ENOENT, f"{shelf.address} has no image library/test:missing", "MANIFEST_UNKNOWN", first.address, second.address, "BROKEN")
    assert result.report.error.index(shelf.address) < result.report.error.index(first.address)


# -- the real thing

def push(registry, repository, data, headers):
    """One blob and a manifest that names it, as the distribution specification has it."""
    def ask(method, target, body=b"", **more):
        request = urllib.request.Request(urllib.parse.urljoin(registry.url, target), body, {**headers, **more}, method=method)
        with urllib.request.urlopen(request, timeout=20, context=registry.ca and ssl.create_default_context(cafile=registry.ca)) as answer:
            return answer.headers

    def blob(content):
        where = ask("POST", f"/v2/{repository}/blobs/uploads/")["Location"]
        ask("PUT", f"{where}&digest={digest_of(content)}", content, **{"Content-Type": "application/octet-stream"})
        return {"digest": digest_of(content), "size": len(content)}

    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE,
                           "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(b"{}")},
                           "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **blob(data)}]}).encode()
    ask("PUT", f"/v2/{repository}/manifests/latest", manifest, **{"Content-Type": MANIFEST_TYPE})
    return manifest


def check_pull(fetch, endpoint, manifest):
    result = fetch.manifest(endpoint, repository="some/name").ok()
    assert (result.body, result.report.type) == (manifest, MANIFEST_TYPE)
    has_big(get_blob(fetch, endpoint, repository="some/name"))
    has_big(get_blob(fetch, endpoint, repository="some/name", offset=1_000_001, start=BIG[:1_000_001]))
    fetch.login(endpoint).ok()
    fetch.manifest(endpoint, repository="some/name", reference="missing").failed(errno.ENOENT, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_debian_s_registry(fetch, start, world, authority, pem, tls):
    registry = start(Registry(world.directory("registry"), tls=authority if tls else None))
    manifest = push(registry, "some/name", BIG, {})
    check_pull(fetch, Endpoint(registry.url, authority=pem if tls else ""), manifest)


def test_debian_s_registry_with_users(fetch, start, world):
    registry = start(Registry(world.directory("registry"), basic=dict([USER])))
    manifest = push(registry, "some/name", BIG, {"Authorization": basic_of(*USER)})
    check_pull(fetch, user_at(registry.url), manifest)
    fetch.manifest(registry.url, repository="some/name").failed(errno.EACCES, "without credentials")


def test_debian_s_registry_with_tokens(fetch, start, world, authority, pem):
    tokens = start(TokenServer(world.directory("tokens"), dict([USER]), tls=authority.server_context()))
    registry = start(Registry(world.directory("registry"), tls=authority, token=tokens))
    token = tokens.make_token(USER[0], ["repository:some/name:push,pull"])
    manifest = push(registry, "some/name", BIG, {"Authorization": f"Bearer {token}"})
    for endpoint in (user_at(registry.url, authority=pem), Endpoint(registry.url, identity=tokens.identity_token(USER[0]), authority=pem)):
        before = len(tokens.issued)
        check_pull(fetch, endpoint, manifest)
        assert len(tokens.issued) == before + 2, "one for the repository and one for the login"
    fetch.manifest(Endpoint(registry.url, authority=pem), repository="some/name").ok()


# -- what it is

def test_only_harmless_questions_are_asked(fetch, start):
    shelf, tokens = make_bearer(start, identities={"i": "u"})
    fetch.manifest(Endpoint(shelf.url, identity="i")).ok()
    has_big(get_blob(fetch, Endpoint(shelf.url, identity="i")))
    fetch.login(Endpoint(shelf.url, identity="i")).ok()
    assert {seen.method for seen in shelf.seen()} == {"GET"}
    assert {seen.method for seen in tokens.seen()} == {"POST"}


def test_it_runs_in_its_jail(fetch, shelf):
    fetch.manifest(shelf.url).ok()
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{fetch.pid}/status").read().splitlines() if ":\t" in line)
    assert len(set(status["Uid"].split())) == 1 and int(status["Uid"].split()[0]) in HELPERS and status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    limits = open(f"/proc/{fetch.pid}/limits").read()
    assert re.search(r"Max open files +256 +256", limits) and re.search(r"Max core file size +0 +0", limits)


def test_nothing_is_left_open(fetch, start, shelf):
    fetch.manifest(shelf.url).ok()
    before = len(os.listdir(f"/proc/{fetch.pid}/fd"))
    for number in range(30):
        shelf.on("/blobs/", faults.cut(100_000), nth=number * 2 + 1)
        has_big(get_blob(fetch, shelf.url))
        fetch.manifest(shelf.url, reference="missing").failed(errno.ENOENT)
    poll(lambda: len(os.listdir(f"/proc/{fetch.pid}/fd")) <= before + 2, 5, lambda: f"{os.listdir(f'/proc/{fetch.pid}/fd')}")
    assert open_sockets(fetch.pid) <= 10


def test_a_reader_that_has_gone_ends_its_blob(fetch, shelf):
    """Nobody wants the rest of a layer whose verifier has ended."""
    go_on = threading.Event()
    shelf.on("/blobs/", faults.slow(0.02, go_on, 20_000))
    number = fetch.ask(BLOB, shelf.url, reference=shelf.big, size=len(BIG))
    request = fetch.requests[number]
    poll(lambda: request.read_ticks() or len(request.ticks) > 2, 10, "no ticks")
    os.close(request.pipe)
    request.pipe = None
    fetch.wait(number).failed(errno.EPIPE)
    assert shelf.seen("/blobs/")[0].size < len(BIG)
    go_on.set()
