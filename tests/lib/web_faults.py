"""What a server of lib/web.py can do instead of answering as it should.

Each function here makes a fault for Server.on(): something that answers one exchange. Those
that go on for long end with their client or with the server; `until` is a threading.Event by
which a test ends them sooner.
"""

from itertools import count, repeat
from urllib.parse import urlsplit

from lib.web import Reply

PIECE = 1 << 16
GIGABYTE = 1 << 30
ENDLESS = 8 * GIGABYTE  # what "endless" stops at, so that a client without a bound fails its test and not the machine


def cut(after, reset=False):
    """The connection ends after so many bytes of the body, which was promised whole."""
    def fault(exchange):
        reply = exchange.honest()
        length_of(reply)
        exchange.head(reply.status, reply.headers)
        left = after
        for data in reply.chunks():
            exchange.piece(data[:left])
            left -= len(data[:left])
            if left == 0:
                break
        exchange.close(reset)
    return fault


def length_of(reply):
    """The body's length; the headers say it too after this."""
    if reply.header("Content-Length") is None:
        reply.set("Transfer-Encoding").set("Content-Length", len(reply.whole()))
    return int(reply.header("Content-Length"))


def slow(every, until, size=1):
    """Slow loris: so many bytes of the body every so many seconds, until told; then the rest at once."""
    def fault(exchange):
        reply = exchange.honest()
        length_of(reply)
        exchange.head(reply.status, reply.headers)
        for data in reply.chunks():
            while data and not until.wait(every):
                if exchange.stopping.is_set():
                    return exchange.close()
                exchange.piece(data[:size])
                data = data[size:]
            exchange.piece(data)
        return None
    return fault


def slow_head(every, until):
    """Header after header, and never the empty line; until told, when the answer comes."""
    def fault(exchange):
        exchange.write(b"HTTP/1.1 200 OK\r\n")
        for number in count():
            if until.wait(every) or exchange.stopping.is_set():
                break
            exchange.write(b"X-Slow-%d: 1\r\n" % number)
        reply = exchange.honest()
        length_of(reply)
        exchange.write("".join(f"{name}: {value}\r\n" for name, value in reply.headers).encode() + b"\r\n")
        exchange.seen.status = 200
        for data in reply.chunks():
            exchange.piece(data)
    return fault


def silent(until):
    """No byte at all until told; then the answer."""
    def fault(exchange):
        while not until.wait(0.05):
            if exchange.stopping.is_set():
                return exchange.close()
        return exchange.send(exchange.honest())
    return fault


def hang_up(reset=False):
    """The connection ends without an answer."""
    return lambda exchange: exchange.close(reset)


def garbage(data):
    """These bytes instead of HTTP."""
    def fault(exchange):
        exchange.write(data)
        exchange.close()
    return fault


def ignore_range():
    """200 and the whole body, whatever range was asked for."""
    return lambda exchange: exchange.send(exchange.honest(without=["Range", "If-Range"]))


def wrong_content_range(text):
    """The right bytes under a Content-Range that says something else; None leaves it out."""
    def fault(exchange):
        reply = exchange.honest()
        exchange.send(reply.set("Content-Range", *([] if text is None else [text])))
    return fault


def other_range(shift=1):
    """206 with the Content-Range that was asked for, and the bytes of another place."""
    def fault(exchange):
        reply = exchange.honest()
        if reply.status == 206:
            whole = exchange.honest(without=["Range"]).whole()
            first, last = (int(number) for number in reply.header("Content-Range").split(" ")[1].split("/")[0].split("-"))
            moved = whole[shift:] + whole[:shift]
            reply.body = moved[first:last + 1]
        exchange.send(reply)
    return fault


def flip(at=0):
    """One bit of the body is another; at counts from its start, or from its end when negative."""
    def fault(exchange):
        reply = exchange.honest()
        body = bytearray(reply.whole())
        if body:
            body[at] ^= 1
        reply.body = bytes(body)
        exchange.send(reply)
    return fault


def wrong_length(by):
    """Content-Length promises so many bytes more (or fewer, when negative) than come."""
    def fault(exchange):
        reply = exchange.honest()
        length = length_of(reply)
        exchange.head(reply.status, reply.set("Content-Length", length + by).headers)
        if exchange.seen.method != "HEAD":
            for data in reply.chunks():
                exchange.piece(data)
        exchange.close()
    return fault


def extra(data):
    """The body, and then more of it; the length agrees."""
    def fault(exchange):
        reply = exchange.honest()
        reply.body = reply.whole() + data
        exchange.send(reply.set("Content-Length"))
    return fault


def endless(length=None, start=b"", chunked=False, data=bytes(PIECE), status=200, most=ENDLESS):
    """A body that doesn't end: `start`, then `data` again and again.

    It says the length that is given; else it is chunked, or without a length.
    """
    def fault(exchange):
        headers = [("Content-Type", "application/octet-stream")]
        if length is not None:
            headers.append(("Content-Length", length))
        elif chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        exchange.head(status, headers)
        exchange.close()
        frame = b"%x\r\n" % len(data) + data + b"\r\n" if chunked else data
        exchange.piece(b"%x\r\n" % len(start) + start + b"\r\n" if chunked and start else start)
        for _ in repeat(None, most // len(data)):
            if exchange.stopping.is_set():
                return
            exchange.piece(frame)
    return fault


def truncated_chunked(after, broken=False):
    """Chunks up to so many bytes of the body, and no last one; with `broken`, the next one's size is no number."""
    def fault(exchange):
        reply = exchange.honest()
        data = reply.whole()[:after]
        exchange.head(reply.status, reply.set("Content-Length").set("Transfer-Encoding", "chunked").headers)
        exchange.write(b"%x\r\n" % len(data))
        exchange.piece(data)
        exchange.write(b"\r\n" + (b"xyz\r\n" if broken else b""))
        exchange.close()
    return fault


def redirect(to, status=307):
    """To a URL or relative reference; a function gets the request's target and says which."""
    def fault(exchange):
        where = to(exchange.seen.target) if callable(to) else to
        exchange.send(Reply(status, [("Location", where)]))
    return fault


def redirect_to_server(server, status=307):
    """To the same target on another server."""
    return redirect(lambda target: server.url + target, status)


def redirect_loop(status=307, length=1):
    """Back to itself, after so many steps that differ in a query."""
    def onward(target):
        parts = urlsplit(target)
        step = int(parts.query.rpartition("=")[2] or 0) if parts.query.startswith("step=") else 0
        return f"{parts.path}?step={(step + 1) % length}"
    return redirect(onward, status)


def answer(status, headers=(), body=b""):
    """This, whatever was asked: 401 with a WWW-Authenticate, 429 with a Retry-After, 500, ..."""
    return lambda exchange: exchange.send(Reply(status, list(headers), body))


def challenge(*values):
    """401 with these WWW-Authenticate headers."""
    return answer(401, [("WWW-Authenticate", value) for value in values], b'{"errors":[{"code":"UNAUTHORIZED"}]}')


def too_many(retry_after=None):
    """429, with a Retry-After of seconds, of a date, or of nonsense."""
    return answer(429, [] if retry_after is None else [("Retry-After", retry_after)], b'{"errors":[{"code":"TOOMANYREQUESTS"}]}')


def header_flood(size=1 << 20, line=None):
    """So many bytes of headers before the body: in lines of so many bytes, or in one."""
    def fault(exchange):
        reply = exchange.honest()
        length = line or size
        reply.headers += [(f"X-Flood-{number}", "x" * length) for number in range(size // length)]
        exchange.send(reply)
    return fault


def early_answers(number=1000):
    """So many 1xx answers before the real one."""
    def fault(exchange):
        for _ in range(number):
            exchange.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        exchange.send(exchange.honest())
    return fault


def headers(status=None, **values):
    """The honest body under other headers: Content_Type="x" replaces one, Docker_Content_Digest=None drops it."""
    def fault(exchange):
        reply = exchange.honest()
        for name, value in values.items():
            reply.set(name.replace("_", "-"), *([] if value is None else [value]))
        reply.status = status or reply.status
        exchange.send(reply)
    return fault


def bodies(*replies):
    """The first request gets the first body, and so on, the last one for all that follow: a thing that changes."""
    left = list(replies)

    def fault(exchange):
        body = left.pop(0) if len(left) > 1 else left[0]
        reply = exchange.honest()
        reply.body = body
        exchange.send(reply.set("Content-Length", *([len(body)] if exchange.seen.method == "HEAD" else [])).set("Docker-Content-Digest"))
    return fault
