"""Repositories over HTTP, by git's own git-http-backend: GitServer starts it in a network namespace of lib/outer.py.

    with GitServer(outer.host, HOST4, 8081, directory) as server: ... http://10.9.0.1:8081/NAME.git
"""

import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

from lib.world import command

BACKEND = "/usr/lib/git-core/git-http-backend"
AUTHOR = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.test", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.test"}


def make_repository(directory, name, files):
    """NAME.git in a directory, with one commit of these files."""
    work = directory / f"{name}-work"
    work.mkdir()
    environment = {**os.environ, **AUTHOR, "HOME": str(work), "GIT_CONFIG_NOSYSTEM": "1"}
    git = lambda *words: command("git", "-C", work, *words, env=environment)
    git("init", "-q", "-b", "main")
    for path, content in files.items():
        (work / path).write_text(content)
    git("add", ".")
    git("commit", "-q", "-m", "all of it")
    git("clone", "-q", "--bare", str(work), str(directory / f"{name}.git"))


class GitServer:
    def __init__(self, where, address, port, directory):
        self.url = f"http://{address}:{port}"
        self.server = subprocess.Popen([*where.words(), sys.executable, "-m", "lib.git_server", address, str(port), str(directory)],
                                       cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        assert self.server.stdout.readline() == "ready\n"

    def close(self):
        self.server.stdin.close()
        self.server.wait(10)
        self.server.stdout.close()


class Handler(http.server.BaseHTTPRequestHandler):
    directory = None

    def answer(self):
        """RFC 3875, as far as git needs it."""
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": self.directory, "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": self.command,
                       "PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": self.client_address[0], "CONTENT_LENGTH": str(len(body)),
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                       "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
                       "GIT_CONFIG_VALUE_0": "*"}
        done = subprocess.run([BACKEND], input=body, env=environment, capture_output=True, check=True, timeout=60)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(rest))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(rest)

    do_GET = do_POST = answer  # noqa: N815: the base class's names

    def log_message(self, *_):
        pass


def main(address, port, directory):
    Handler.directory = directory
    with http.server.ThreadingHTTPServer((address, int(port)), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("ready", flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
