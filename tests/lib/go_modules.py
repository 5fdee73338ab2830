"""Programs that tests take from Go modules: built into build/go, once for each content of a module's files.

    Module(directory, "engines").built()   # a directory with the programs that go.mod names as tools

go.mod pins the versions, go.sum what is in them. Needs the proxy of Go modules, and any Go: one that is older
than go.mod asks for fetches the newer one from there. The first time takes minutes, so tools/test.sh does it
before the tests.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from lib import samples
from lib.world import command

FLAGS = ("-trimpath", "-ldflags", "-s -w")
MINUTES = 60


class Module:
    """A directory with go.mod and go.sum. tests: those of its tools that are programs of tests, which `go build` doesn't make.

    files: what decides whether it has to be built again.
    """

    def __init__(self, directory, name, tests=(), files=("go.mod", "go.sum")):
        self.directory, self.name, self.tests, self.files = Path(directory), name, tests, files

    def built(self):
        """The directory, made when it isn't there. Raises with what is missing."""
        digest = hashlib.sha256(b"".join((self.directory / name).read_bytes() for name in self.files)).hexdigest()
        return samples.cached(self.name, f"{digest} {self.tests} {FLAGS}", self._build, samples.CACHE.parent / "go")

    def packages(self):
        """What go.mod names as tools: {program: package}."""
        found = re.findall(r"^tool (?:\((.*?)^\)|(\S+))$", (self.directory / "go.mod").read_text(), re.MULTILINE | re.DOTALL)
        return {package.rpartition("/")[2]: package for many, one in found for package in (many or one).split()}

    def wanted_version(self):
        """The Go that go.mod asks for, as numbers."""
        return numbers(re.search(r"^go (\S+)$", (self.directory / "go.mod").read_text(), re.MULTILINE).group(1))

    def _build(self, place):
        go, env = self._find_go(place)
        place.mkdir()
        known = self.packages()
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=place) as work:
            env["GOTMPDIR"] = work
            programs = [package for name, package in known.items() if name not in self.tests]
            command(go, "build", *FLAGS, "-o", f"{place}/", *programs, cwd=self.directory, env=env, timeout=20 * MINUTES)
            for name in self.tests:
                command(go, "test", "-c", *FLAGS, "-o", place / name, known[name], cwd=self.directory, env=env, timeout=10 * MINUTES)
        self.finish(place, lambda *words: command(go, *words, cwd=self.directory, env=env))

    def finish(self, place, go):
        """What a module has besides: GO runs a command of Go's in it."""

    def _find_go(self, place):
        go = go_program()
        if go is None:
            raise RuntimeError(f"the programs of {self.directory.name} are built from source, and there is no Go here: apt-get install golang-go")
        settings = os.environ.get("GOENV") or Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "go/env"
        env = {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0",
               "GOENV": str(settings), "XDG_CONFIG_HOME": str(place.parent / "config")}  # Go counts there what it is used for
        return (go if _version(go, env) >= self.wanted_version() else self._newer(go, env)), env

    def _newer(self, go, env):
        """The Go that is a module of its own. One since 1.21 would fetch it by itself; Debian 12's doesn't know of it."""
        version = ".".join(map(str, self.wanted_version()))
        module = f"golang.org/toolchain@v0.0.1-go{version}.linux-{command('dpkg', '--print-architecture').strip()}"
        fetched = command(go, "mod", "download", "-json", module, env={**env, "GOFLAGS": ""}, timeout=5 * MINUTES, cwd="/")
        root = Path(json.loads(fetched)["Dir"])
        for program in [*root.glob("bin/*"), *root.glob("pkg/tool/*/*")]:  # files of modules have no modes
            program.chmod(0o755)
        return root / "bin/go"


def go_program():
    """Go's command, or None: /usr/local/go, then PATH."""
    for path in (Path("/usr/local/go/bin/go"), shutil.which("go")):
        if path and Path(path).exists():
            return Path(path)
    return None


def numbers(version):
    """1.26.6 as (1, 26, 6): a release that ends in none is its first."""
    return tuple(int(number) for number in version.split("."))


def _version(go, env):
    return numbers(re.search(r"go([0-9.]+)", command(go, "version", env=env, cwd="/")).group(1).rstrip("."))
