"""The rig of the image tests itself: its registries serve, its servers misbehave as they say, its engines leave nothing."""

import base64
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from lib import certificates, engines, layouts, samples, tars, token_server as tokens, trees, web_faults as faults
from lib.fake_registry import FakeRegistry
from lib.images import Blob, make_image, make_index, make_layer, push
from lib.leaks import mounts
from lib.proxy import Proxy
from lib.real_image import apply_layer
from lib.registry import Registry
from lib.runner import alive
from lib.token_server import TokenServer
from lib.web import Elsewhere, Server, connect

SECRET = "Basic " + base64.b64encode(b"user:secret").decode()


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(server, target, method="GET", body=None, timeout=10, **headers):
    """One request, by a client that follows nothing and hides nothing."""
    connection = connect(server, timeout)
    try:
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def small(registry):
    """The small image in everybody's registry: its name there."""
    return push(samples.small_image(), registry, "rig/small")


@pytest.fixture(scope="module")
def blob(small):
    return samples.small_image().layers[1].blob


@pytest.fixture(scope="module")
def target(blob):
    return f"/v2/rig/small/blobs/{blob.digest}"


@pytest.fixture
def proxy(start, registry):
    return start(Proxy(registry))


# -- registries

def test_skopeo_copies_what_was_pushed(world, registry, small):
    directory = world.directory("oci")
    engines.skopeo_copy(f"docker://{small}", f"oci:{directory}/copy:x", directory, registry)
    for blob in samples.small_image().all_blobs():
        assert (directory / "copy/blobs" / blob.digest.replace(":", "/")).read_bytes() == blob.whole()


def test_an_index_is_pushed_with_all_below_it(world, registry):
    image = make_index([samples.small_image(), samples.small_image("docker")], [("linux", "amd64"), ("linux", "arm64", "v8")])
    name = push(image, registry, "rig/index")
    command = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=20).stdout == image.manifest
    for child in image.children:
        assert ask(registry, f"/v2/rig/index/manifests/{child.digest}", Accept=child.media_type).body == child.manifest


def test_the_log_of_a_registry_tells_who_asked_what(registry, small, target, blob):
    ask(registry, target, User_Agent="rig/1 (of tests)")
    found = registry.wait_requests(re.escape(target), agent="rig/1 ")[0]
    assert (found.method, found.path, found.status, found.agent, found.size) == ("GET", target, 200, "rig/1 (of tests)", blob.size)


def test_a_recording_registry_sees_headers_too(start_registry):
    registry = start_registry(record=True, basic={"user": "secret"})
    name = push(samples.small_image(), registry, "a/b", credentials=("user", "secret"))
    assert name.startswith(f"127.0.0.1:{registry.port}/") and registry.port != registry.real_port
    blob = samples.small_image().layers[1].blob
    answer = ask(registry, f"/v2/a/b/blobs/{blob.digest}", Range="bytes=10-19", Authorization=SECRET)
    assert answer.status == 206 and answer.body == blob.whole()[10:20]
    found = registry.wait_requests(f"blobs/{blob.digest}$", count=2)[-1]  # after the pusher's question
    assert (found.range, found.authorization, found.status, found.size) == ("bytes=10-19", "basic", 206, 10)


def test_a_registry_with_users_refuses_others(world, start_registry):
    registry = start_registry(basic={"user": "secret", "other": "pass:word"})
    home = world.directory("home")
    layout = layouts.write_oci_directory(home / "oci", {"x": samples.small_image()})
    for creds in (None, "user:wrong", "nobody:secret"):
        with pytest.raises(RuntimeError, match="unauthorized|authentication required"):
            engines.skopeo_copy(f"oci:{layout}:x", f"docker://{registry.address}/a/b:x", home, registry, creds)
    for creds in ("user:secret", "other:pass:word"):
        engines.skopeo_copy(f"oci:{layout}:x", f"docker://{registry.address}/a/b:x", home, registry, creds)


def test_a_registry_with_tls_is_trusted_by_its_authority_alone(world, start_registry, authority):
    registry = start_registry(tls=authority)
    name = push(samples.small_image(), registry, "a/b")
    home = world.directory("home")
    engines.skopeo_copy(f"docker://{name}", f"oci:{home}/copy:x", home, registry)
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection(registry.host, registry.port, timeout=10, context=ssl.create_default_context()).request("GET", "/v2/")
    with pytest.raises(RuntimeError, match="certificate"):
        engines.command("skopeo", "inspect", f"docker://{name}", env=engines.environment(home))


@pytest.mark.parametrize("options,why", [({"dates": certificates.PAST}, "expired"), ({"names": ["DNS:other.example"]}, "IP address mismatch")])
def test_certificates_that_are_no_good(start, authority, options, why):
    server = start(Server(tls=authority.server_context(why.partition(" ")[0], **options)))
    server.ca = authority.ca
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        ask(server, "/")


def test_a_stored_blob_can_be_spoilt(start_registry):
    registry = start_registry()
    push(samples.small_image(), registry, "a/b")
    layer = samples.small_image().layers[0].blob
    path = registry.blob_path(layer.digest)
    assert path.read_bytes() == layer.whole()
    path.write_bytes(b"spoilt")
    assert ask(registry, f"/v2/a/b/blobs/{layer.digest}").body.startswith(b"spoilt")


# -- tokens

def test_a_token_opens_the_real_registry(world, start_registry, token_server):
    registry = start_registry(token=token_server, record=True)
    home = world.directory("home")
    layout = layouts.write_oci_directory(home / "oci", {"x": samples.small_image()})
    there = f"docker://{registry.address}/a/b:x"
    engines.skopeo_copy(f"oci:{layout}:x", there, home, registry, "user:secret")
    assert {"bearer"} == {one.authorization for one in registry.requests if "/a/b/" in one.path}
    asked = token_server.seen("/token")
    assert asked and {seen.authorization for seen in asked} == {"basic"} and asked[0].query["service"] == token_server.service
    # without a name one may pull, and not push
    engines.skopeo_copy(there, f"oci:{home}/copy:x", home, registry)
    with pytest.raises(RuntimeError, match="denied|unauthorized"):
        engines.skopeo_copy(f"oci:{layout}:x", f"docker://{registry.address}/a/b:y", home, registry)


def test_a_token_is_for_its_scope_and_its_time(start_registry, token_server):
    registry = start_registry(token=token_server)
    push(samples.small_image(), registry, "a/b", credentials=token_server.make_token("user", ["repository:a/b:pull,push"]))
    target = f"/v2/a/b/blobs/{samples.small_image().layers[0].blob.digest}"

    def with_token(*scopes):
        return ask(registry, target, Authorization=f"Bearer {token_server.make_token('user', scopes)}").status

    assert with_token("repository:a/b:pull") == 200
    assert with_token("repository:a/c:pull") == 401 and with_token() == 401
    token_server.lasts = -600
    assert with_token("repository:a/b:pull") == 401


def test_identity_tokens_and_passwords_by_post(token_server):
    kept = json.loads(ask(token_server, "/token?service=s&scope=repository:a:pull&offline_token=true", Authorization=SECRET).body)["refresh_token"]
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = ask(token_server, "/token", "POST", f"grant_type=refresh_token&service=s&scope=repository:a:pull&refresh_token={kept}", **form)
    assert answer.status == 200 and json.loads(answer.body)["access_token"].count(".") == 2
    assert token_server.issued[-1][:2] == ("user", ("repository:a:pull",))
    assert ask(token_server, "/token", "POST", "grant_type=password&username=user&password=secret&scope=x", **form).status == 200
    for wrong in ("grant_type=refresh_token&refresh_token=x", "grant_type=password&username=user&password=x"):
        assert ask(token_server, "/token", "POST", wrong, **form).status == 401
    assert ask(token_server, "/token", Authorization=SECRET[:-3]).status == 401
    assert len(token_server.seen("/token", "POST")) == 4


def test_a_token_servers_faults(token_server, elsewhere):
    def next_answer(fault):
        token_server.forget()
        token_server.on("/token", fault, nth=1)
        return ask(token_server, "/token?scope=repository:a:pull")

    assert next_answer(faults.answer(500)).status == 500
    with pytest.raises(ValueError):
        json.loads(next_answer(tokens.bad_json()).body)
    assert json.loads(next_answer(tokens.answers(token="t", expires_in=0)).body) == {"token": "t", "expires_in": 0}
    assert len(next_answer(tokens.giant(1 << 20)).body) > 1 << 20
    assert next_answer(faults.redirect_to_server(elsewhere)).headers["Location"].startswith(elsewhere.url + "/token?scope")
    told = threading.Event()
    token_server.forget()
    token_server.on("/token", faults.silent(told))
    with pytest.raises(TimeoutError):
        ask(token_server, "/token", timeout=0.2)
    told.set()
    assert "token" in json.loads(ask(token_server, "/token").body)


# -- a proxy that misbehaves, seen by a client that tells what came

def test_a_proxy_hands_on_and_remembers(proxy, target, blob):
    assert ask(proxy, target, Authorization="Basic eA==", X_Mine="1").body == blob.whole()
    seen = proxy.wait_ended("/blobs/")[0]
    assert (seen.header("authorization"), seen.header("X-Mine"), seen.status, seen.size) == ("Basic eA==", "1", 200, blob.size)
    head = ask(proxy, target, "HEAD")
    assert head.body == b"" and head.headers["Content-Length"] == str(blob.size)


def test_a_push_goes_through_a_proxy(start, registry, proxy):
    name = push(samples.small_image(), proxy, "rig/through")
    answer = ask(registry, "/v2/rig/through/manifests/latest", Accept=samples.small_image().media_type)
    assert name.startswith(proxy.address) and answer.body == samples.small_image().manifest


def test_a_rule_is_for_the_nth_request(proxy, target):
    rule = proxy.on("/blobs/", faults.answer(503), method="GET", nth={1, 3})
    assert [ask(proxy, target).status for _ in range(4)] == [503, 200, 503, 200]
    assert ask(proxy, target, "HEAD").status == 200 and len(rule.hits) == 2
    proxy.forget()
    proxy.on("/blobs/", faults.answer(500), nth=range(1, 3))
    assert [ask(proxy, target).status for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize("reset", [False, True])
def test_fault_cut(proxy, target, blob, reset):
    proxy.on("/blobs/", faults.cut(1000, reset))
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)) as raised:
        ask(proxy, target)
    if not reset:
        assert raised.value.partial == blob.whole()[:1000] and raised.value.expected == blob.size - 1000


def test_fault_slow_loris(proxy, target, blob):
    until = threading.Event()
    proxy.on("/blobs/", faults.slow(0.02, until))
    connection = connect(proxy, 10)
    connection.request("GET", target)
    answer = connection.getresponse()
    started = time.monotonic()
    first = answer.read(6)
    assert time.monotonic() - started >= 0.09, "six bytes came at once"
    until.set()
    assert first + answer.read() == blob.whole()
    connection.close()


def test_fault_slow_head_and_silence(proxy, target, blob):
    until = threading.Event()
    for fault, seen in ((faults.slow_head(0.002, until), "more than 100 headers"), (faults.silent(until), "timed out")):
        proxy.forget()
        until.clear()
        proxy.on("/blobs/", fault)
        with pytest.raises((http.client.HTTPException, TimeoutError), match=seen):
            ask(proxy, target, timeout=0.2)
        until.set()
        assert ask(proxy, target).body == blob.whole()


def test_fault_ranges(proxy, target, blob):
    whole = blob.whole()

    def part(fault):
        proxy.forget()
        proxy.on("/blobs/", fault)
        answer = ask(proxy, target, Range="bytes=100-199")
        return answer.status, answer.headers["Content-Range"], answer.body

    told = f"bytes 100-199/{blob.size}"
    assert part(lambda exchange: exchange.send(exchange.honest())) == (206, told, whole[100:200])
    assert part(faults.ignore_range()) == (200, None, whole)
    assert part(faults.wrong_content_range("bytes 0-99/100")) == (206, "bytes 0-99/100", whole[100:200])
    assert part(faults.wrong_content_range(None)) == (206, None, whole[100:200])
    assert part(faults.other_range(7)) == (206, told, whole[107:207])


def test_fault_bodies_that_are_others(proxy, target, blob):
    whole = blob.whole()

    def body(fault):
        proxy.forget()
        proxy.on("/blobs/", fault)
        return ask(proxy, target).body

    assert body(faults.flip(5)) == whole[:5] + bytes([whole[5] ^ 1]) + whole[6:]
    assert body(faults.flip(-1)) == whole[:-1] + bytes([whole[-1] ^ 1])
    assert body(faults.extra(b"more")) == whole + b"more"
    assert body(faults.wrong_length(-10)) == whole[:-10]
    with pytest.raises(http.client.IncompleteRead) as raised:
        body(faults.wrong_length(10))
    assert raised.value.partial == whole and raised.value.expected == 10


def test_fault_truncated_chunks(proxy, target, blob):
    for broken in (False, True):
        proxy.forget()
        proxy.on("/blobs/", faults.truncated_chunked(50, broken))
        with pytest.raises(http.client.IncompleteRead) as raised:
            ask(proxy, target)
        assert raised.value.partial == blob.whole()[:50]


@pytest.mark.parametrize("options", [{}, {"chunked": True}, {"length": 1 << 62}, {"start": b"head", "data": b"tail" * 1000}], ids=str)
def test_fault_endless_body(proxy, target, options):
    proxy.on("/blobs/", faults.endless(**options))
    connection = connect(proxy, 10)
    connection.request("GET", target)
    answer = connection.getresponse()
    got = b"".join(answer.read(1 << 16) for _ in range(200))
    assert len(got) == 200 << 16 and answer.headers["Content-Length"] == (str(options["length"]) if "length" in options else None)
    assert got.startswith(options.get("start", b"\0")) and got.endswith(b"\0" if "data" not in options else (b"t", b"a", b"i", b"l"))
    answer.close()
    connection.close()


def test_fault_endless_body_ends_with_its_server(start, registry, target):
    proxy = Proxy(registry)
    proxy.on("/blobs/", faults.endless())
    connection = connect(proxy, 10)
    connection.request("GET", target)
    assert connection.getresponse().read(10) == bytes(10)
    proxy.stop()
    connection.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://localhost:1/x", "/v2/other", "../up", "//127.0.0.1:1/x", "file:///etc/passwd", "gopher://x/", "http://[::1]:1/"])
def test_fault_redirect(proxy, target, status, to):
    proxy.on("/blobs/", faults.redirect(to, status))
    answer = ask(proxy, target)
    assert (answer.status, answer.headers["Location"]) == (status, to)


def test_fault_redirect_loop(proxy, target):
    proxy.on("/blobs/", faults.redirect_loop(length=3))
    seen, here = [], target
    for _ in range(6):
        here = ask(proxy, here).headers["Location"]
        seen.append(here)
    assert seen[:3] == seen[3:] and len(set(seen)) == 3


def test_who_saw_which_authorization(world, start_registry, start, authority, elsewhere):
    """skopeo takes credentials along where the bytes are elsewhere? The recording tells."""
    registry = start_registry(basic={"user": "secret"})
    name = push(samples.small_image(), registry, "a/b", credentials=("user", "secret"))
    front = start(Proxy(registry, tls=authority))
    front.on("/blobs/", faults.redirect_to_server(elsewhere))
    home = world.directory("home")
    with pytest.raises(RuntimeError):
        engines.skopeo_copy(f"docker://{name.replace(registry.address, front.address)}", f"oci:{home}/x:x", home, front, "user:secret")
    assert {seen.header("Authorization") for seen in front.seen("/blobs/")} == {SECRET}
    assert elsewhere.wait_seen("/blobs/")[0].header("Authorization") is None


@pytest.mark.parametrize("values", [["Basic realm=\"a\""], ["Bearer realm=\"http://x/\",service=\"s\",scope=\"repository:a:pull\"", "Basic"],
                                    ["Bearer realm=\"" + "x" * 10000], [""], ["Bearer , , =,\"\\"]], ids=range(5))
def test_fault_challenge(proxy, target, values):
    proxy.on("/v2/", faults.challenge(*values))
    answer = ask(proxy, target)
    assert answer.status == 401 and answer.headers.get_all("WWW-Authenticate") == values


@pytest.mark.parametrize("after", ["1", "Wed, 21 Oct 2065 07:28:00 GMT", "99999999999999999999", "-1", "soon", None])
def test_fault_too_many(proxy, target, after):
    proxy.on("/v2/", faults.too_many(after), nth=1)
    answer = ask(proxy, target)
    assert (answer.status, answer.headers["Retry-After"]) == (429, after) and ask(proxy, target).status == 200


def raw_answer(server, target):
    with socket.create_connection((server.host, server.port), 10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        pieces = []
        while data := connection.recv(1 << 16):
            pieces.append(data)
    return b"".join(pieces)


def test_fault_header_flood(proxy, target, blob):
    for line in (None, 1000):
        proxy.forget()
        proxy.on("/blobs/", faults.header_flood(1 << 20, line))
        head, _, body = raw_answer(proxy, target).partition(b"\r\n\r\n")
        assert len(head) > 1 << 20 and head.count(b"X-Flood") == (1 if line is None else 1048) and body == blob.whole()


def test_fault_early_answers_garbage_and_none(proxy, target, blob):
    proxy.on("/blobs/", faults.early_answers(500))
    answer = raw_answer(proxy, target)
    assert answer.count(b"HTTP/1.1 103") == 500 and answer.endswith(blob.whole())
    proxy.forget()
    proxy.on("/blobs/", faults.garbage(b"\0\1\2SSH-2.0"))
    assert raw_answer(proxy, target) == b"\0\1\2SSH-2.0"
    proxy.forget()
    proxy.on("/blobs/", faults.hang_up())
    assert raw_answer(proxy, target) == b""


def test_fault_headers_lie(proxy, small):
    proxy.on("/manifests/", faults.headers(Content_Type="text/html", Docker_Content_Digest="sha256:" + "0" * 64))
    answer = ask(proxy, "/v2/rig/small/manifests/latest", Accept=samples.small_image().media_type)
    assert answer.body == samples.small_image().manifest
    assert (answer.headers["Content-Type"], answer.headers["Docker-Content-Digest"]) == ("text/html", "sha256:" + "0" * 64)
    proxy.forget()
    proxy.on("/manifests/", faults.headers(Docker_Content_Digest=None))
    assert ask(proxy, "/v2/rig/small/manifests/latest").headers["Docker-Content-Digest"] is None


def test_fault_a_manifest_that_changes(proxy, small):
    proxy.on("/manifests/", faults.bodies(b"one", b"two"), method="GET")
    assert [ask(proxy, "/v2/rig/small/manifests/latest").body for _ in range(3)] == [b"one", b"two", b"two"]


def test_faults_come_by_tls_too(start, registry, authority, target, blob):
    proxy = start(Proxy(registry, tls=authority))
    proxy.on("/blobs/", faults.cut(100), nth=1)
    with pytest.raises((http.client.IncompleteRead, ssl.SSLError)):
        ask(proxy, target)
    assert ask(proxy, target).body == blob.whole()


# -- a registry that serves anything

def test_a_fake_registry_serves_an_image_to_skopeo(world, fake_registry):
    name = fake_registry.add(samples.small_image("docker"))
    home = world.directory("home")
    engines.skopeo_copy(f"docker://{name}", f"oci:{home}/copy:x", home, fake_registry)


def test_a_fake_registry_serves_what_it_was_told(fake_registry):
    fake_registry.put("/v2/a/manifests/x", b"{", "text/plain", Docker_Content_Digest="md5:0")
    answer = ask(fake_registry, "/v2/a/manifests/x")
    assert (answer.body, answer.headers["Content-Type"], answer.headers["Docker-Content-Digest"]) == (b"{", "text/plain", "md5:0")
    assert ask(fake_registry, "/v2/a/manifests/y").status == 404 and ask(fake_registry, "/v2/").status == 200


@pytest.mark.parametrize("asked,status,part", [("bytes=2-5", 206, b"2345"), ("bytes=7-", 206, b"789"), ("bytes=-3", 206, b"789"), ("bytes=0-99", 206, b"0123456789"),
                                               ("bytes=10-", 416, b""), ("lines=1-2", 200, b"0123456789")])
def test_ranges_of_a_fake_registry(world, fake_registry, asked, status, part):
    path = world.directory("blob") / "blob"
    path.write_bytes(b"0123456789")
    for source in (b"0123456789", path):
        fake_registry.put("/v2/a/blobs/x", Blob(source))
        answer = ask(fake_registry, "/v2/a/blobs/x", Range=asked)
        assert (answer.status, answer.body) == (status, part)


# -- the other engines

@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_podman_unpacks_what_gnu_tar_does(world, start, registry, small, driver):
    podman = start(engines.Podman(world.directory("podman"), driver))
    tree = world.directory("tree")
    for layer in samples.small_image().layers:
        apply_layer(layer, tree)
    trees.assert_same(trees.describe(tree), podman.pull(registry, small).describe(small), ignore=["."])


def test_podman_saves_loads_and_pushes(world, start, registry, small):
    podman = start(engines.Podman(world.directory("podman")))
    place = world.directory("saved")
    podman.pull(registry, small).save(small, place / "podman.tar")
    assert podman.load(place / "podman.tar") == small
    podman.push(registry, small, f"{registry.address}/rig/by-podman:x")
    assert ask(registry, "/v2/rig/by-podman/manifests/x", Accept="*/*, " + samples.small_image().media_type).status == 200


def test_docker_pulls_saves_and_logs_in(world, start, start_registry, registry, small, authority):
    other = start_registry(tls=authority, basic={"user": "secret"})
    docker = start(engines.Dockerd(world.directory("docker"), [other]))
    tree = docker.pull(small).describe(small)
    assert tree["bin/sh"].links == tree["bin/busybox"].links and tree["home/app"].uid == samples.APP
    place = world.directory("saved")
    docker.save(small, place / "docker.tar")
    assert small in docker.load(place / "docker.tar")
    target = f"{other.address}/a/b:x"
    docker.call("login", "-u", "user", "-p", "secret", other.address)
    docker.call("tag", small, target)
    docker.push(target)
    assert ask(other, "/v2/a/b/manifests/x", Authorization=SECRET).status == 200


def test_containerd_pulls_and_imports(world, start, registry, small):
    containerd = start(engines.Containerd(world.directory("containerd"))).pull(registry, small)
    archive = layouts.write_oci_archive(world.directory("archive") / "oci.tar", {"x": samples.small_image()})
    containerd.load(archive)
    assert small in containerd.call("images", "ls", "-q").split()


# -- nothing stays

def test_servers_leave_nothing(world, leaks, authority):
    before, threads, mounted = world.processes(), threading.active_count(), mounts()
    with TokenServer(world.directory("tokens")) as tokens_, Registry(world.directory("r"), tls=authority, token=tokens_, record=True) as registry, \
            Elsewhere() as elsewhere, FakeRegistry() as fake:
        ports = [tokens_.port, registry.port, registry.real_port, elsewhere.port, fake.port]
        pid = registry.pid
        assert alive(pid) and Path(f"/proc/{pid}/comm").read_text() == "docker-registry\n"
    assert not alive(pid) and world.processes() <= before | {os.getpid()} and threading.active_count() == threads and mounts() == mounted
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


def test_a_registry_that_cannot_start_says_why(world, token_server):
    token_server.certificate.unlink()
    with pytest.raises(RuntimeError, match=r"(?s)docker-registry ended with.*token.pem"):
        Registry(world.directory("registry"), token=token_server)


def test_a_layer_that_no_engine_takes_is_refused(world, start, fake_registry):
    """The way in which hostile images reach an engine works: podman says no to this one."""
    name = fake_registry.add(make_image([make_layer([tars.hardlink("a", "not-there")])]))
    podman = start(engines.Podman(world.directory("podman")))
    with pytest.raises(RuntimeError, match="processing tar file.*no such file"):
        podman.pull(fake_registry, name)
