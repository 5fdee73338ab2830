"""A server between a client and a registry, which hands on, records, and misbehaves by its rules.

    with Proxy(registry) as proxy:
        proxy.on(r"/blobs/sha256:", web_faults.cut(1000), method="GET", nth=1)

A registry sees the Host that the client named, so that the places it speaks of are the proxy's.
"""

import http.client

from lib.web import Reply, Server, connect

PIECE = 1 << 18
# of one connection, not of the message: RFC 9110, 7.6.1
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "expect", "content-length"}


class Proxy(Server):
    def __init__(self, upstream, tls=None, **options):
        """upstream: a Registry or any Server; tls: for the proxy's own clients."""
        self.upstream = upstream
        super().__init__(tls=tls, **options)

    def honest(self, seen):
        connection = connect(self.upstream)
        try:
            connection.putrequest(seen.method, seen.target, skip_host=True, skip_accept_encoding=True)
            for name, value in seen.headers:
                if name.lower() not in HOP_BY_HOP:
                    connection.putheader(name, value)
            if seen.body or seen.method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", len(seen.body))
            connection.endheaders(seen.body or None)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return Reply(502, [], f"{self.upstream.url}: {error}\n".encode())
        headers = [pair for pair in answer.getheaders() if pair[0].lower() not in HOP_BY_HOP - {"content-length"}]
        return Reply(answer.status, headers, self._body(connection, answer))

    def _body(self, connection, answer):
        try:
            while data := answer.read(PIECE):
                yield data
        finally:
            connection.close()
