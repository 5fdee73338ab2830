"""containerd 2, its tools and those of the CRI, which Debian 12 has not: built from Go modules into build/go.

    directory = go_engines.programs()   # containerd, ctr, containerd-shim-runc-v2, crictl, critest

tests/engines/go.mod names the versions, go.sum what is in them; programs are built again when one of
the two changes. Needs the proxy of Go modules, and any Go: one that is older than go.mod asks for
fetches the newer one from there. The first time takes minutes, so tools/test.sh does it before the tests.
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

MODULE = Path(__file__).resolve().parents[1] / "engines"
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "crictl")
TESTS = ("critest",)  # a program of tests, which `go build` doesn't make
FLAGS = ("-trimpath", "-ldflags", "-s -w")
MINUTES = 60


def programs():
    """The directory, made when it isn't there. Raises with what is missing."""
    digest = hashlib.sha256(b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))).hexdigest()
    return samples.cached("engines", f"{digest} {PROGRAMS} {TESTS} {FLAGS}", _build, samples.CACHE.parent / "go")


def go_program():
    """Go's command, or None: /usr/local/go, then PATH."""
    for path in (Path("/usr/local/go/bin/go"), shutil.which("go")):
        if path and Path(path).exists():
            return Path(path)
    return None


def packages():
    """What go.mod names as tools: {program: package}."""
    block = re.search(r"^tool \((.*?)^\)", (MODULE / "go.mod").read_text(), re.MULTILINE | re.DOTALL)
    return {package.rpartition("/")[2]: package for package in block.group(1).split()}


def wanted_version():
    """The Go that go.mod asks for, as numbers."""
    return numbers(re.search(r"^go (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE).group(1))


def numbers(version):
    """1.26.6 as (1, 26, 6): a release that ends in none is its first."""
    return tuple(int(number) for number in version.split("."))


def _build(place):
    go = go_program()
    if go is None:
        raise RuntimeError("containerd 2 is built from source, and there is no Go here: apt-get install golang-go")
    place.mkdir()
    settings = os.environ.get("GOENV") or Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "go/env"
    env = {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0",
           "GOENV": str(settings), "XDG_CONFIG_HOME": str(place.parent / "config")}  # Go counts there what it is used for
    if _version(go, env) < wanted_version():
        go = _newer(go, env)
    known = packages()
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=place.parent) as work:
        env["GOTMPDIR"] = work
        command(go, "build", *FLAGS, "-o", f"{place}/", *(known[name] for name in PROGRAMS), cwd=MODULE, env=env, timeout=20 * MINUTES)
        for name in TESTS:
            command(go, "test", "-c", *FLAGS, "-o", place / name, known[name], cwd=MODULE, env=env, timeout=10 * MINUTES)


def _version(go, env):
    return numbers(re.search(r"go([0-9.]+)", command(go, "version", env=env, cwd="/")).group(1).rstrip("."))


def _newer(go, env):
    """The Go that is a module of its own. One since 1.21 would fetch it by itself; Debian 12's doesn't know of it."""
    version = ".".join(map(str, wanted_version()))
    module = f"golang.org/toolchain@v0.0.1-go{version}.linux-{command('dpkg', '--print-architecture').strip()}"
    fetched = command(go, "mod", "download", "-json", module, env={**env, "GOFLAGS": ""}, timeout=5 * MINUTES, cwd="/")
    root = Path(json.loads(fetched)["Dir"])
    for program in [*root.glob("bin/*"), *root.glob("pkg/tool/*/*")]:  # files of modules have no modes
        program.chmod(0o755)
    return root / "bin/go"


if __name__ == "__main__":  # before the tests, whose time doesn't pay for it then
    print(programs())
