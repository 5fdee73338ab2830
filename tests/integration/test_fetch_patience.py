"""cloister-fetch: how long it waits for servers, and how often it asks them."""

import errno
import threading
import time

import pytest

from lib import web_faults as faults
from lib.fetch_scene import BIG, SMALL, fetch, get_blob, has_big, program, shelf, start  # noqa: F401
from lib.http_fakes import Shelf


# -- servers that keep us

def test_a_slow_blob_is_given_up(fetch, shelf):
    """A byte now and then: never silent, but slower than any link."""
    shelf.on("/blobs/", faults.slow(0.1, threading.Event()))
    started = time.monotonic()
    get_blob(fetch, shelf.url).failed(errno.ETIMEDOUT, "1024 bytes a second")
    assert time.monotonic() - started < 20
    assert len(shelf.seen("/blobs/")) == 5


def test_a_slow_blob_goes_on_at_the_next_endpoint(fetch, start, shelf):
    slow = start(Shelf())
    slow.put_blob(BIG)
    slow.on("/blobs/", faults.slow(0.1, threading.Event()))
    has_big(get_blob(fetch, slow.url, shelf.url))


def test_slow_headers_are_given_up(fetch, shelf):
    rule = shelf.on("/manifests/", faults.slow_head(0.1, threading.Event()))
    started = time.monotonic()
    fetch.manifest(shelf.url).failed(errno.ETIMEDOUT, "no whole answer in 1 s")
    assert len(rule.hits) == 2 and time.monotonic() - started < 2 * 30 / 30 + 1


def test_a_silent_server_is_given_up(fetch, shelf):
    """Half a minute a try, and two tries: whoever waits for it sits at a terminal."""
    rule = shelf.on("/manifests/", faults.silent(threading.Event()))
    started = time.monotonic()
    fetch.manifest(shelf.url).failed(errno.ETIMEDOUT, "nothing for")
    assert len(rule.hits) == 2 and time.monotonic() - started < 2 * 30 / 30 + 1


def test_a_server_that_thinks_is_waited_for(fetch, shelf):
    shelf.on("/manifests/", lambda exchange: time.sleep(0.7) or exchange.send(exchange.honest()))
    assert fetch.manifest(shelf.url).ok().body == SMALL
    assert len(shelf.seen("/manifests/")) == 1


def test_a_server_that_fell_silent_in_a_blob_is_asked_on(fetch, shelf):
    """It was there: as often as after any other end of a blob."""
    shelf.on("/blobs/", faults.cut(100_000), nth=1)
    shelf.on("/blobs/", faults.silent(threading.Event()), nth=range(1, 4))
    has_big(get_blob(fetch, shelf.url))
    assert len(shelf.seen("/blobs/")) == 5


def test_silence_in_the_middle_is_given_up(fetch, shelf):
    go_on = threading.Event()
    shelf.on("/blobs/", faults.slow(60, go_on, 100_000), nth=1)
    has_big(get_blob(fetch, shelf.url))
    go_on.set()
    assert len(shelf.seen("/blobs/")) == 2


# -- trouble that passes

@pytest.mark.parametrize("fault", [faults.answer(500), faults.answer(502), faults.answer(503), faults.hang_up(), faults.hang_up(True),
                                   faults.too_many()], ids=["500", "502", "503", "hang-up", "reset", "429"])
def test_trouble_that_passes(fetch, shelf, fault):
    shelf.on("/manifests/", fault, nth=range(1, 5))
    assert fetch.manifest(shelf.url).ok().body == SMALL
    assert len(shelf.seen("/manifests/")) == 5


@pytest.mark.parametrize("fault, code", [(faults.answer(500, [], b'{"errors":[{"code":"UNKNOWN","message":"disk full"}]}'), errno.EIO),
                                         (faults.hang_up(), errno.ECONNRESET), (faults.too_many(), errno.EBUSY)],
                         ids=["500", "hang-up", "429"])
def test_trouble_that_stays(fetch, shelf, fault, code):
    shelf.on("/manifests/", fault)
    result = fetch.manifest(shelf.url).failed(code, shelf.address)
    assert len(shelf.seen("/manifests/")) == 5
    if code == errno.EIO:
        result.failed(code, "500", "disk full")


def test_a_server_is_waited_for_as_long_as_it_says(fetch, shelf):
    shelf.on("/manifests/", faults.too_many("45"), nth=1)
    started = time.monotonic()
    fetch.manifest(shelf.url).ok()
    assert time.monotonic() - started >= 45 / 30


def test_a_server_is_waited_for_until_its_date(fetch, shelf):
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 40))
    shelf.on("/manifests/", faults.too_many(date), nth=1)
    started = time.monotonic()
    fetch.manifest(shelf.url).ok()
    assert time.monotonic() - started >= 38 / 30


def test_a_server_that_wants_too_much_time_is_left(fetch, shelf):
    shelf.on("/manifests/", faults.too_many("3600"))
    fetch.manifest(shelf.url).failed(errno.EBUSY, "3600 s")
    assert len(shelf.seen("/manifests/")) == 1


@pytest.mark.parametrize("status, code", [(404, errno.ENOENT), (403, errno.EACCES), (400, errno.EIO), (410, errno.EIO), (451, errno.EIO)])
def test_what_will_not_pass_is_asked_once(fetch, shelf, status, code):
    shelf.on("/manifests/", faults.answer(status, [], b'{"errors":[{"code":"NOPE","message":"not \\u001b[31m here"}]}'))
    result = fetch.manifest(shelf.url).failed(code, shelf.address, "NOPE")
    assert len(shelf.seen("/manifests/")) == 1 and "\x1b" not in result.report.error


def test_a_refused_connection(fetch, start):
    with Shelf() as gone:
        pass
    fetch.manifest(gone.url).failed(errno.ECONNREFUSED, "is the registry running?", str(gone.port))
