"""cloister-fetch: where it lets itself be sent, whom it believes, and whom it shows the credentials it was given."""

import contextlib
import errno
import re
import ssl
import time

import pytest

from lib import web_faults as faults
from lib.certificates import PAST
from lib.fetch_scene import (BIG, SMALL, USER, authority, fetch, get_blob, has_big, make_bearer, names, pem, program, shelf,  # noqa: F401
                             start, tls_of, url_of, user_at)
from lib.fetcher import FAILED, MANIFEST, Endpoint, Fetcher
from lib.http_fakes import NameServer, Network, OverFile, Shelf, Tokens, basic_of
from lib.web import Elsewhere


# -- redirects

@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(fetch, start, shelf, status):
    front = start(Shelf())
    front.on("/blobs/", faults.redirect_to_server(shelf, status))
    result = has_big(get_blob(fetch, front.url, offset=1000, start=BIG[:1000]))
    assert result.report.url == front.url
    assert shelf.seen()[-1].range == "bytes=1000-"


def test_five_redirects_are_followed_and_no_more(fetch, shelf):
    shelf.on(r"/manifests/latest$", faults.redirect("/hop?1"))
    for number in range(1, 4):
        shelf.on(rf"/hop\?{number}$", faults.redirect(f"/hop?{number + 1}"))
    shelf.on(r"/hop\?4$", faults.redirect("/hop?5"))
    shelf.on(r"/hop\?5$", faults.answer(200, [], SMALL))
    assert fetch.manifest(shelf.url).ok().body == SMALL
    shelf.forget()
    shelf.on("", faults.redirect_loop(length=100))
    fetch.manifest(shelf.url).failed(errno.ELOOP, "5 times")
    assert len(shelf.seen()) == 6


@pytest.mark.parametrize("to, code", [("file:///etc/passwd", errno.EPROTONOSUPPORT), ("ftp://127.0.0.1/x", errno.EPROTONOSUPPORT),
                                      ("gopher://127.0.0.1:70/x", errno.EPROTONOSUPPORT), ("http://user:pass@127.0.0.1/x", errno.EINVAL),
                                      ("http://[", errno.EINVAL), ("x" * 9000, None)])
def test_redirects_that_are_not_followed(fetch, shelf, to, code):
    shelf.on("/manifests/", faults.redirect(to))
    result = fetch.manifest(shelf.url)
    assert result.report.kind == FAILED and (code is None or result.report.code == code), result.report
    assert len(shelf.seen()) == 1


def test_no_redirect_leads_from_https_to_http(fetch, start, authority, pem):
    front, plain = start(Shelf(tls=authority.server_context())), start(Elsewhere())
    front.on("/manifests/", faults.redirect_to_server(plain))
    fetch.manifest(Endpoint(front.url, authority=pem)).failed(errno.EPROTO, "https to plain http", plain.address)
    assert not plain.connections


def test_basic_credentials_stay_at_their_place(fetch, start):
    shelf, other = start(Shelf(basic=USER)), start(Elsewhere(SMALL))
    shelf.on("/manifests/", lambda e: (faults.redirect_to_server(other) if e.seen.authorization else faults.challenge('Basic realm="x"'))(e))
    assert fetch.manifest(user_at(shelf.url)).ok().body == SMALL
    assert shelf.seen()[-1].header("Authorization") == basic_of(*USER)
    assert [seen.all("Authorization") for seen in other.seen()] == [[]]


def test_a_token_stays_at_its_place(fetch, start):
    tokens, other = start(Tokens()), start(Elsewhere(SMALL))
    shelf = start(Shelf(bearer=(f"{tokens.url}/token", "s")))
    shelf.on("/manifests/", lambda e: (faults.redirect_to_server(other) if e.seen.authorization else lambda x: x.send(x.honest()))(e))
    assert fetch.manifest(shelf.url).ok().body == SMALL
    assert shelf.seen()[-1].header("Authorization") == f"Bearer {tokens.given[0]}"
    assert [seen.all("Authorization") for seen in other.seen()] == [[]]


def test_credentials_go_along_within_their_place_but_do_not_come_back(fetch, start):
    shelf, other = start(Shelf(basic=USER)), start(Shelf())
    shelf.on("/manifests/latest", lambda e: (faults.redirect("/within") if e.seen.authorization else faults.challenge("Basic realm=x"))(e))
    shelf.on("/within", faults.redirect_to_server(other))
    other.on("", faults.redirect_to_server(shelf))
    shelf.on("/back", faults.answer(200, [], SMALL))
    other.rules.clear()
    other.on("", faults.redirect(f"{shelf.url}/back"))
    assert fetch.manifest(user_at(shelf.url)).ok().body == SMALL
    sent = {seen.path: seen.header("Authorization") for seen in shelf.seen()}
    assert sent["/within"] == basic_of(*USER) and sent["/back"] is None
    assert all(seen.header("Authorization") is None for seen in other.seen())


def test_another_port_is_another_place(fetch, start):
    """And asks for credentials in vain."""
    shelf, other = start(Shelf(basic=USER)), start(Shelf(basic=USER))
    other.put_manifest("latest", SMALL)
    shelf.on("/manifests/", lambda e: (faults.redirect_to_server(other) if e.seen.authorization else faults.challenge("Basic realm=x"))(e))
    fetch.manifest(user_at(shelf.url)).failed(errno.EACCES, other.address, "gets none")
    assert all(seen.header("Authorization") is None for seen in other.seen())


# -- addresses that only we can reach

PUBLIC, SECOND, PRIVATE, LOCAL, LOOP = "203.0.113.5", "198.51.100.7", "10.1.2.3", "169.254.169.254", "127.0.0.1"
ADDRESSES = [f"{PUBLIC}/32", f"{SECOND}/32", f"{PRIVATE}/32", f"{LOCAL}/32", "2001:db8::5/128", "fd00::5/128"]


@pytest.fixture
def network(start):
    return start(Network(ADDRESSES))


@pytest.fixture
def inside(network, start, program):
    return start(Fetcher(program, start=network.start))


def serve(network, start, host, kind=Elsewhere, **options):
    return start(network.run(kind, host=host, **options))


@pytest.mark.parametrize("origin, target, allowed", [
    (PUBLIC, SECOND, True), (PUBLIC, PRIVATE, False), (PUBLIC, LOCAL, False), (PUBLIC, LOOP, False),
    (PRIVATE, PUBLIC, True), (PRIVATE, LOOP, False), (PRIVATE, LOCAL, False),
    (LOOP, PRIVATE, True), (LOOP, PUBLIC, True), (LOOP, LOCAL, False), (LOCAL, LOCAL, True)])
def test_redirects_to_addresses(network, inside, start, origin, target, allowed):
    front, back = serve(network, start, origin, Shelf), serve(network, start, target, body=SMALL)
    front.on("/manifests/", faults.redirect_to_server(back))
    result = inside.manifest(front.url)
    if allowed:
        assert result.ok().body == SMALL
    else:
        result.failed(errno.EPERM, front.address, back.address)
        assert not back.connections, "it was connected to"


def test_a_name_hides_no_address(network, start, program, world):
    """What counts is where the connection goes, so that no name need be believed to mean the same twice."""
    server = start(network.run(NameServer, {"in.example.net": [LOCAL]}))
    start(OverFile("/etc/resolv.conf", f"nameserver {server.host}\n", world.directory("resolv")))
    inside = start(Fetcher(program, start=network.start))
    front, metadata = serve(network, start, PUBLIC, Shelf), serve(network, start, LOCAL)
    front.on("/manifests/", faults.redirect(f"http://in.example.net:{metadata.port}/latest"))
    inside.manifest(front.url).failed(errno.EPERM, "in.example.net", "link-local")
    assert server.asked and not metadata.connections


def test_a_kept_connection_hides_no_address(network, inside, start):
    """What we may ask for ourselves, somebody else may not send us to: not even by the connection that is open."""
    mine = serve(network, start, LOOP, Shelf)
    mine.put_manifest("latest", SMALL)
    stranger = serve(network, start, PUBLIC, Shelf)
    stranger.on("/manifests/", faults.redirect(f"{mine.url}/v2/library/test/manifests/latest?secret"))
    inside.manifest(mine.url).ok()
    inside.manifest(stranger.url).failed(errno.EPERM)
    assert not mine.seen("secret")


def test_no_detour_leads_back_in(network, inside, start):
    mine, stranger = serve(network, start, LOOP, Shelf), serve(network, start, PUBLIC, Shelf)
    mine.on("/manifests/", faults.redirect_to_server(stranger))
    stranger.on("/manifests/", faults.redirect(f"{mine.url}/secret"))
    inside.manifest(mine.url).failed(errno.EPERM)
    assert not mine.seen("secret")


def test_a_realm_is_no_way_in(network, inside, start):
    metadata = serve(network, start, LOCAL)
    front = serve(network, start, PUBLIC, Shelf)
    front.on("", faults.challenge(f'Bearer realm="{metadata.url}/latest",service="s"'))
    inside.manifest(front.url).failed(errno.EPERM, metadata.address)
    assert not metadata.connections


def test_ipv6_too(network, inside, start):
    shelf = serve(network, start, "127.0.0.1", Shelf)
    shelf.put_manifest("latest", SMALL)
    front = serve(network, start, PUBLIC, Shelf)
    for target in (f"http://[::ffff:127.0.0.1]:{shelf.port}/x", f"http://[::1]:{shelf.port}/x", "http://[fd00::5]/x", "http://[::ffff:a9fe:a9fe]/x"):
        front.forget()
        front.on("/manifests/", faults.redirect(target))
        inside.manifest(front.url).failed(errno.EPERM)
    assert not shelf.connections


# -- TLS

def test_a_certificate_that_nobody_known_signed(fetch, start, authority):
    shelf = start(Shelf(tls=authority.server_context()))
    shelf.put_manifest("latest", SMALL)
    fetch.manifest(shelf.url).failed(errno.EKEYREJECTED, shelf.address, "registries.yaml")
    assert not shelf.seen()


def test_a_certificate_that_is_not_trusted_is_the_message(fetch, start, authority):
    """And nothing is asked in the clear where somebody shows one: neither at once nor by the next request."""
    shelf = start(Shelf(tls=authority.server_context()))
    for _ in range(2):
        result = fetch.manifest(shelf.url, shelf.url.replace("https:", "http:")).failed(errno.EKEYREJECTED, shelf.address)
        assert result.report.error.endswith("as `authority: FILE`") and "before that" not in result.report.error
    assert shelf.connections == 1 and not shelf.seen()


def test_of_a_mirror_that_is_not_trusted_the_cure_is_told(fetch, start, authority):
    mirror, registry = start(Shelf(tls=authority.server_context())), start(Shelf())
    plain = mirror.url.replace("https:", "http:")
    result = fetch.manifest(mirror.url, plain, registry.url, reference="none").failed(errno.ENOENT, registry.address, f"before that, {mirror.address}: nobody known")
    assert result.report.error.endswith("as `authority: FILE`") and "status" not in result.report.error
    registry.put_manifest("latest", SMALL)
    assert fetch.manifest(mirror.url, plain, registry.url).ok().report.url == registry.url
    assert not mirror.seen()


def test_what_mirrors_say_ends_with_a_word(fetch, start, authority):
    mirrors, registry = [start(Shelf(tls=authority.server_context())) for _ in range(3)], start(Shelf())
    said = fetch.manifest(*(mirror.url for mirror in mirrors), registry.url, reference="none").failed(errno.ENOENT).report.error
    assert re.search(r"[a-z]\.\.\.$", said), said


def test_a_certificate_for_another_name(fetch, start, names, authority, pem):
    shelf = start(Shelf(tls=tls_of(authority, "evil.example.org")))
    fetch.manifest(Endpoint(url_of(shelf, "registry.example.com"), authority=pem)).failed(errno.EKEYREJECTED, "registry.example.com")
    assert not shelf.seen()


def test_a_certificate_that_has_expired(fetch, start, authority, pem):
    shelf = start(Shelf(tls=authority.server_context("expired", dates=PAST)))
    fetch.manifest(Endpoint(shelf.url, authority=pem)).failed(errno.EKEYREJECTED, "expired")
    assert not shelf.seen()


def test_an_authority_is_one_endpoint_s(fetch, start, authority, pem):
    """A connection that one endpoint's authority vouched for is of no use to another."""
    shelf = start(Shelf(tls=authority.server_context()))
    shelf.put_manifest("latest", SMALL)
    fetch.manifest(Endpoint(shelf.url, authority=pem)).ok()
    fetch.manifest(shelf.url).failed(errno.EKEYREJECTED)
    assert len(shelf.seen()) == 1


def test_an_authority_that_is_none(fetch, start, authority):
    shelf = start(Shelf(tls=authority.server_context()))
    fetch.manifest(Endpoint(shelf.url, authority="not PEM\n")).failed(errno.EKEYREJECTED, "authority", "PEM")
    assert not shelf.seen()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_not_spoken(fetch, start, authority, pem):
    context = authority.server_context()
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with contextlib.suppress(ssl.SSLError):
        context.set_ciphers("ALL:@SECLEVEL=0")
    shelf = start(Shelf(tls=context))
    result = fetch.manifest(Endpoint(shelf.url, authority=pem))
    assert result.report.kind == FAILED and not shelf.seen()


def test_plain_http_where_tls_was_expected(fetch, shelf):
    fetch.manifest(shelf.url.replace("http:", "https:")).failed(errno.EPROTONOSUPPORT, "http: true", "doesn't speak TLS")


# -- credentials

def test_basic_is_sent_when_it_is_asked_for(fetch, start):
    shelf = start(Shelf(basic=USER))
    digest = shelf.put_blob(BIG)
    shelf.put_manifest("latest", SMALL)
    fetch.manifest(user_at(shelf.url)).ok()
    has_big(get_blob(fetch, user_at(shelf.url), digest=digest))
    sent = [seen.header("Authorization") for seen in shelf.seen()]
    assert sent == [None, basic_of(*USER), basic_of(*USER)], "asked for once, known afterwards"


def test_credentials_that_are_wrong_or_missing(fetch, start):
    shelf = start(Shelf(basic=USER))
    shelf.put_manifest("latest", SMALL)
    fetch.manifest(shelf.url).failed(errno.EACCES, "without credentials", f"cloister login {shelf.address}")
    result = fetch.manifest(Endpoint(shelf.url, user="user", secret="wrong-secret")).failed(errno.EACCES, "refuses the credentials")
    assert "wrong-secret" not in result.report.error
    assert len(shelf.seen()) == 3
    fetch.manifest(Endpoint(shelf.url, identity="some-identity")).failed(errno.EACCES, "identity token")


def test_a_secret_with_odd_characters(fetch, start):
    for secret in ("", "a", "ab", "abc", "p:ss w\u00f6rd\u2028\"\\"):
        shelf = start(Shelf(basic=("u", secret)))
        shelf.put_manifest("latest", SMALL)
        fetch.manifest(Endpoint(shelf.url, user="u", secret=secret)).ok()
    fetch.manifest(Endpoint(shelf.url, user="a:b", secret="c")).failed(errno.EINVAL, "colon")


def test_other_ways_to_authenticate(fetch, shelf):
    shelf.on("/manifests/", faults.challenge("Negotiate", 'Digest realm="x"'))
    fetch.manifest(user_at(shelf.url)).failed(errno.EACCES, "Negotiate")
    shelf.forget()
    shelf.on("/manifests/", faults.challenge('Bearer realm="'))
    fetch.manifest(user_at(shelf.url)).failed(errno.EACCES, "can't be read")
    shelf.forget()
    shelf.on("/manifests/", faults.answer(401))
    fetch.manifest(user_at(shelf.url)).failed(errno.EACCES)
    assert len(shelf.seen()) == 1


def test_a_token_for_nobody(fetch, start):
    shelf, tokens = make_bearer(start)
    fetch.manifest(shelf.url).ok()
    asked, = tokens.seen()
    assert asked.method == "GET" and asked.header("Authorization") is None
    assert asked.query == {"service": "service of tests", "scope": "repository:library/test:pull", "client_id": "cloister"}
    assert [seen.header("Authorization") for seen in shelf.seen()] == [None, f"Bearer {tokens.given[0]}"]


def test_a_token_for_a_user(fetch, start):
    shelf, tokens = make_bearer(start, dict([USER]), anonymous=False)
    fetch.manifest(user_at(shelf.url)).ok()
    asked, = tokens.seen()
    assert asked.header("Authorization") == basic_of(*USER) and asked.query["account"] == USER[0]
    assert all(basic_of(*USER) not in seen.all("Authorization") for seen in shelf.seen())


def test_a_token_for_an_identity(fetch, start):
    shelf, tokens = make_bearer(start, identities={"an id&entity=": "user"})
    fetch.manifest(Endpoint(shelf.url, identity="an id&entity=")).ok()
    asked, = tokens.seen()
    assert asked.method == "POST" and asked.header("Authorization") is None and "identity" not in asked.target
    assert asked.form == {"grant_type": "refresh_token", "service": "service of tests", "scope": "repository:library/test:pull",
                          "client_id": "cloister", "refresh_token": "an id&entity="}
    fetch.manifest(Endpoint(shelf.url, identity="another")).failed(errno.EACCES, "refuses the credentials", "unknown identity")


def test_one_token_for_all_that_need_it(fetch, start):
    """Many questions at once, and one question for their token."""
    shelf, tokens = make_bearer(start)
    tokens.on("", lambda e: (time.sleep(0.2), e.send(e.honest())))
    requests = [fetch.ask(MANIFEST, shelf.url) for _ in range(20)]
    for request in requests:
        fetch.wait(request).ok()
    has_big(get_blob(fetch, shelf.url))
    assert len(tokens.seen()) == 1
    other = Shelf(bearer=shelf.bearer, repository="other/name")
    with other:
        other.accepted = shelf.accepted
        other.put_manifest("latest", SMALL)
        fetch.manifest(other.url, repository="other/name").ok()
    assert len(tokens.seen()) == 2


def test_a_token_is_not_used_after_its_time(fetch, start):
    shelf, tokens = make_bearer(start, expires_in=1)
    fetch.manifest(shelf.url).ok()
    fetch.manifest(shelf.url).ok()
    assert len(tokens.seen()) == 1
    time.sleep(1.1)
    fetch.manifest(shelf.url).ok()
    assert len(tokens.seen()) == 2
    assert shelf.seen()[-1].header("Authorization") == f"Bearer {tokens.given[1]}", "the door is known, the token asked for before it"


def test_a_token_that_is_taken_back_is_renewed_once(fetch, start):
    shelf, tokens = make_bearer(start)
    fetch.manifest(shelf.url).ok()
    shelf.accepted = lambda token: token in tokens.given[1:]
    shelf.on("/blobs/", faults.cut(500_000), nth=2)
    has_big(get_blob(fetch, shelf.url))
    assert len(tokens.given) == 2
    shelf.accepted = lambda token: False
    fetch.manifest(shelf.url).failed(errno.EACCES)
    assert len(tokens.given) == 3


def test_a_token_that_expires_during_a_blob(fetch, start):
    """The rest of a cut blob is asked for with a token that is none any more."""
    shelf, tokens = make_bearer(start)

    shelf.on("/blobs/", faults.cut(1_000_000), nth=2)
    shelf.accepted = lambda token: token in tokens.given[1:] or len(shelf.seen("/blobs/")) <= 2
    has_big(get_blob(fetch, shelf.url))
    assert len(tokens.given) == 2
    assert [seen.range for seen in shelf.seen("/blobs/")] == [None, None, "bytes=1000000-", "bytes=1000000-"]


def test_a_door_that_lets_nobody_in(fetch, start):
    shelf, tokens = make_bearer(start)
    shelf.challenges = [f'Bearer realm="{tokens.url}/token",error="insufficient_scope"']
    shelf.accepted = lambda token: False
    fetch.manifest(shelf.url).failed(errno.EACCES, "insufficient_scope")
    assert len(tokens.given) == 1 and len(shelf.seen()) == 2


def test_a_door_that_changes_its_mind(fetch, start):
    """Basic, then a token, then Basic: not for ever."""
    shelf, tokens = make_bearer(start, dict([USER]))
    shelf.on("", lambda e: faults.challenge('Basic realm="x"' if e.seen.authorization == "bearer" else
                                            f'Bearer realm="{tokens.url}/token"')(e))
    fetch.manifest(user_at(shelf.url)).failed(errno.EACCES)
    assert len(shelf.seen()) <= 6


def test_the_scope_is_ours_whatever_the_challenge_says(fetch, start):
    shelf, tokens = make_bearer(start)
    for scope in ("repository:other/secret:pull", "repository:library/test:pull,push,delete", "registry:catalog:*", "", "a b c"):
        shelf.challenges = [f'Bearer realm="{tokens.url}/token",service="{len(tokens.given)}",scope="{scope}"']
        shelf.accepted = lambda token: token in tokens.given[-1:]
        tokens.given.append("stale")
        fetch.manifest(shelf.url).ok()
        assert tokens.seen()[-1].query["scope"] == "repository:library/test:pull"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"token":1}', b'{"token":"a\\r\\nb"}', b'{"token":"a","token":"b"}', b"<html>"])
def test_answers_that_hold_no_token(fetch, start, body):
    shelf, tokens = make_bearer(start)
    tokens.on("", faults.answer(200, [("Content-Type", "application/json")], body))
    fetch.manifest(shelf.url).failed(errno.EBADMSG, tokens.address)
    assert len(tokens.seen()) == 1


def test_a_token_without_end(fetch, start):
    shelf, tokens = make_bearer(start)
    rule = tokens.on("", faults.endless(start=b'{"token":"', data=b"A" * 65536))
    fetch.manifest(shelf.url).failed(errno.EFBIG, tokens.address)
    assert rule.hits[0].size < 16 << 20


def test_a_token_server_with_trouble_that_passes(fetch, start):
    shelf, tokens = make_bearer(start)
    tokens.on("", faults.answer(503), nth=1)
    tokens.on("", faults.hang_up(), nth=1)
    fetch.manifest(shelf.url).ok()
    assert len(tokens.seen()) == 3
    tokens.forget()
    shelf.accepted = set()
    tokens.on("", faults.answer(500))
    fetch.manifest(shelf.url).failed(errno.EIO, tokens.address, "500")


# -- whom credentials are shown

def realm_scene(start, authority, registry_name, realm_name, anonymous=True, realm_tls=True, registry_tls=True):
    tokens = start(Tokens(dict([USER]), {"some-identity": "user"}, anonymous=anonymous, tls=tls_of(authority, realm_name) if realm_tls else None))
    shelf = start(Shelf(tls=tls_of(authority, registry_name) if registry_tls else None,
                        bearer=(f"{url_of(tokens, realm_name)}/token", "s")))
    shelf.accepted = lambda token: token in tokens.given
    shelf.put_manifest("latest", SMALL)
    return shelf, tokens, url_of(shelf, registry_name)


SECRETS = [{"user": USER[0], "secret": USER[1]}, {"identity": "some-identity"}]


@pytest.mark.parametrize("secret", SECRETS, ids=["password", "identity"])
@pytest.mark.parametrize("registry_name, realm_name", [("registry.example.com", "auth.example.com"), ("registry.example.com", "registry.example.com")])
def test_a_realm_of_the_same_owner_gets_them(fetch, start, names, authority, pem, registry_name, realm_name, secret):
    shelf, tokens, url = realm_scene(start, authority, registry_name, realm_name, anonymous=False)
    fetch.manifest(Endpoint(url, authority=pem, **secret)).ok()
    asked, = tokens.seen()
    assert asked.header("Authorization") == basic_of(*USER) if "user" in secret else asked.form["refresh_token"] == "some-identity"
    assert shelf.seen()


STRANGERS = {"other-owner": ("registry.example.com", "evil.example.org", True, True), "address": ("registry.example.com", "127.0.0.1", True, True),
             "downgrade": ("registry.example.com", "registry.example.com", False, True),
             "plain-other-host": ("registry.example.com", "auth.example.com", False, False)}


@pytest.mark.parametrize("secret", SECRETS, ids=["password", "identity"])
@pytest.mark.parametrize("case", STRANGERS)
def test_a_stranger_s_realm_is_asked_without_them(fetch, start, names, authority, pem, case, secret):
    registry_name, realm_name, realm_tls, registry_tls = STRANGERS[case]
    for anonymous in (True, False):
        shelf, tokens, url = realm_scene(start, authority, registry_name, realm_name, anonymous, realm_tls, registry_tls)
        result = fetch.manifest(Endpoint(url, authority=pem, **secret))
        if anonymous:
            assert result.ok().body == SMALL
        else:
            result.failed(errno.EACCES, registry_name, realm_name, "not sent")
        for seen in [*tokens.seen(), *shelf.seen()]:
            words = " ".join([seen.target, seen.body.decode("latin-1"), *(f"{n}: {v}" for n, v in seen.headers)])
            assert basic_of(*USER) not in words and "some-identity" not in words and "account" not in words
        assert [seen.method for seen in tokens.seen()] == ["GET"]


def test_what_a_token_for_nobody_does_not_open_is_explained(fetch, start, names, authority, pem):
    shelf, tokens, url = realm_scene(start, authority, "registry.example.com", "evil.example.org")
    endpoint = user_at(url, authority=pem)
    shelf.accepted = lambda token: False
    fetch.manifest(endpoint).failed(errno.EACCES, "not sent to evil.example.org")
    shelf.accepted = lambda token: True
    fetch.manifest(endpoint, reference="private").failed(errno.ENOENT, "not sent to evil.example.org")


@pytest.mark.parametrize("secret", SECRETS, ids=["password", "identity"])
def test_a_login_that_can_not_show_them_fails(fetch, start, names, authority, pem, secret):
    _, tokens, url = realm_scene(start, authority, "registry.example.com", "evil.example.org")
    fetch.login(Endpoint(url, authority=pem, **secret)).failed(errno.EACCES, "evil.example.org")
    assert not tokens.seen()


@pytest.mark.parametrize("where", ["/within", "elsewhere"])
def test_a_realm_that_redirects_gives_them_to_nobody(fetch, start, names, authority, pem, where):
    shelf, tokens, url = realm_scene(start, authority, "registry.example.com", "auth.example.com")
    other = start(Tokens(tls=tls_of(authority, "registry.example.com")))
    shelf.accepted = lambda token: token in tokens.given + other.given
    tokens.on("/token", faults.redirect(where if where == "/within" else f"{url_of(other, 'registry.example.com')}/there"))
    fetch.manifest(user_at(url, authority=pem)).ok()
    first, *later = [*tokens.seen(), *other.seen()]
    assert first.header("Authorization") == basic_of(*USER)
    assert [seen.header("Authorization") for seen in later] == [None]


def test_an_identity_is_not_posted_on(fetch, start, names, authority, pem):
    _, tokens, url = realm_scene(start, authority, "registry.example.com", "auth.example.com")
    tokens.on("/token", faults.redirect("/within"))
    fetch.manifest(Endpoint(url, identity="some-identity", authority=pem)).failed(errno.EPROTO, "redirects what holds a secret")
    assert [seen.path for seen in tokens.seen()] == ["/token"]


# -- login

def test_a_login(fetch, start):
    shelf = start(Shelf(basic=USER))
    fetch.login(user_at(shelf.url)).ok()
    fetch.login(Endpoint(shelf.url, user="user", secret="wrong")).failed(errno.EACCES, "refuses the credentials")
    fetch.login(shelf.url).failed(errno.EACCES, "without credentials")
    assert {seen.target for seen in shelf.seen()} == {"/v2/"}


def test_a_login_by_token(fetch, start):
    shelf, tokens = make_bearer(start, dict([USER]))
    fetch.login(user_at(shelf.url)).ok()
    assert "scope" not in tokens.seen()[0].query
    fetch.login(Endpoint(shelf.url, user="user", secret="wrong")).failed(errno.EACCES, "incorrect username or password")


def test_a_login_at_what_is_no_registry(fetch, shelf):
    shelf.on("", faults.answer(404))
    fetch.login(user_at(shelf.url)).failed(errno.ENOENT, "no registry")
