"""Stores that `cloister pull` fills: what is in them, what trees came of it, and what was left behind."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

from lib import flat, trees
from lib.real_image import apply_layer
from lib.runner import Cloister, Running, alive, descendants
from lib.store import subid

RECORDS = ("chains", "images", "launch", "layers", "names", "refs")  # what an image is found by
UNDER_WAY = ("work", "trash", "leases", "downloads")
HELPERS = ("cloister-fetch", "cloister-image", "cloister-plan")


def chain_ids(image):
    """The chain IDs of an image's layers, the lowest first, as hexadecimal digits (OCI image spec, "Layer ChainID")."""
    found = []
    for layer in image.layers:
        chain = layer.diff_id if not found else "sha256:" + hashlib.sha256(f"sha256:{found[-1]} {layer.diff_id}".encode()).hexdigest()
        found.append(chain.partition(":")[2])
    return found


def hexadecimal(digest):
    return digest.partition(":")[2]


def fast_copy(cloister, world, hurry):
    """A cloister whose cloister-fetch waits so many times shorter than people's does: for servers that say nothing."""
    directory = world.directory("fast")
    for program in ("cloister", *HELPERS):
        shutil.copy(Path(cloister.binary).parent / program, directory / program)
    (directory / "cloister-fetch").rename(directory / "real-fetch")
    wrapper = directory / "cloister-fetch"
    wrapper.write_text(f"#!/bin/sh\nexec {directory}/real-fetch --hurry={hurry} \"$@\"\n")
    wrapper.chmod(0o755)
    return Cloister(world, directory / "cloister", cloister.identity, cloister.view, cloister.without)


class _Configured(Cloister):
    """Root, whose /etc has one directory more, for itself alone: /etc/cloister."""

    def __init__(self, cloister, directory):
        super().__init__(cloister.world, cloister.binary, cloister.identity, cloister.view, cloister.without)
        self.layers = directory

    def prefix(self):
        words = f'mount -t overlay -o ro,lowerdir="{self.layers}":/etc overlay /etc && exec "$@"'
        return ["unshare", "-m", "sh", "-c", words, "etc", *super().prefix()]


class Pulls:
    """One store, of one identity. Configuration and credentials are the test's own."""

    def __init__(self, cloister, path=None):
        self.world = cloister.world
        self.cloister = cloister
        self.path = Path(path or cloister.directory("store", mode=0o700))
        self.config = cloister.directory("config")
        self.docker = cloister.directory("docker")
        self.extra = {}

    # -- starting

    @property
    def env(self):
        return {"CLOISTER_STORE": str(self.path), "XDG_CONFIG_HOME": str(self.config), "DOCKER_CONFIG": str(self.docker), **self.extra}

    def configure(self, text):
        """registries.yaml."""
        place = self.config / "cloister"
        place.mkdir(exist_ok=True)
        place.chmod(0o755)
        (place / "registries.yaml").write_text(text if isinstance(text, str) else json.dumps(text))  # JSON is YAML too
        (place / "registries.yaml").chmod(0o644)
        if self.cloister.identity == "root" and not isinstance(self.cloister, _Configured):
            self.cloister = _Configured(self.cloister, self.config)
        return self

    def trust(self, server):
        return self.configure({"registries": {server.address: {"authority": str(server.ca)}}})

    def credentials(self, value):
        """config.json, as Docker has it."""
        path = self.docker / "config.json"
        path.write_text(json.dumps(value))
        os.chown(path, self.cloister.uid, self.cloister.gid)
        path.chmod(0o600)
        return self

    def call(self, *words, env=None, **options):
        return self.cloister.call(*words, env={**self.env, **(env or {})}, **options)

    def run(self, image, *command, **options):
        return self.cloister.run(image, *command, env=self.env, **options)

    def pull(self, *words, **options):
        return self.call("pull", *words, **options)

    def start(self, *words, env=None, **popen):
        """A pull that is left running: use it as a context manager, and in a process group of its own."""
        return Running(self.cloister.argv("pull", *words), env=self.cloister.environment({**self.env, **(env or {})}), cwd="/",
                       start_new_session=True, **popen)

    # -- what is there

    def names(self, directory):
        try:
            return sorted(os.listdir(self.path / directory))
        except FileNotFoundError:
            return []

    def left(self, *directories):
        """{directory: names} of those that are not empty."""
        return {name: self.names(name) for name in directories or (*UNDER_WAY, *RECORDS, "blobs/sha256") if self.names(name)}

    def is_empty(self, *but):
        """Nothing of an image, whole or half, is there."""
        assert not (left := {name: found for name, found in self.left().items() if name not in but}), f"left behind in {self.path}: {left}"

    def is_settled(self, killed=False):
        """Nothing is under way. What was killed may have left a file on its way to its name, which is swept when it is a minute old."""
        left = {name: found for name, files in self.left(*UNDER_WAY).items()
                if (found := [file for file in files if not (killed and name == "work" and file.startswith("new-"))])}
        assert not left, f"left behind in {self.path}: {left}"

    def is_swept(self):
        """Nothing is in the making. Downloads of layers that did nothing wrong may be there, for the next pull."""
        assert not (left := self.left("work", "trash", "leases")), f"left behind in {self.path}: {left}"

    def layer(self, chain):
        """The directory of a layer, by the digits of its chain ID."""
        link = os.readlink(self.path / "chains" / chain)
        assert link.startswith("../layers/") and link[10:].isdigit(), link
        return self.path / "layers" / link[10:]

    def chains(self):
        """Those whose layer is there. A link is made before its layer is put in its place (src/image/layers.c):
        one that leads nowhere, of a pull that was killed in between, is as good as none."""
        return [chain for chain in self.names("chains") if self.layer(chain).exists()]

    def layers(self, image):
        """The layers of an image, the lowest first."""
        return [self.layer(chain) for chain in chain_ids(image)]

    def image_record(self, digest):
        """The fields of what people are told of an image, by their number (src/oci/records.c)."""
        return flat.fields((self.path / "images" / hexadecimal(digest)).read_bytes(), b"clocii")

    def has(self, image, name=None):
        """The image is there, whole; and has the name, when one is given."""
        digits = hexadecimal(image.digest)
        assert all((self.path / kind / digits).is_file() for kind in ("launch", "images")), f"no {image.digest}: {self.left()}"
        for layer in self.layers(image):
            assert (layer / "tree").is_dir() and (layer / "record").is_file() and not (layer / "unsynced").exists(), sorted(os.listdir(layer))
        assert (self.path / "blobs/sha256" / digits).read_bytes() == image.manifest
        assert (self.path / "blobs/sha256" / hashlib.sha256(image.config).hexdigest()).read_bytes() == image.config
        if name is not None:
            assert self.named(name) == digits, f"{name} is {self.named(name)}"
        return self

    def named(self, name):
        """The digits of the image that has this whole name, or None."""
        reference = self.path / "refs" / hashlib.sha256(name.encode()).hexdigest()
        if not reference.exists():
            return None
        assert (self.path / "names" / reference.name).read_text() == name
        found = [launch.name for launch in (self.path / "launch").iterdir() if launch.samefile(reference)]
        assert len(found) == 1, f"{name} refers to {found}"
        return found[0]

    # -- trees

    def describe(self, image):
        """The image's tree, entry by entry, with the ids that the image means."""
        return self.as_in_image(trees.describe_overlay([layer / "tree" for layer in reversed(self.layers(image))], ["userxattr"]))

    def as_in_image(self, tree):
        if self.cloister.identity == "root":
            return tree
        uids, gids = (_inside("/etc/subuid", self.cloister.uid), _inside("/etc/subgid", self.cloister.gid, self.cloister.uid))
        return {name: dataclasses.replace(node, uid=uids(node.uid), gid=gids(node.gid)) for name, node in tree.items()}

    def snapshot(self):
        """Every layer's tree as it lies on the disk: {chain: description}."""
        return {chain: trees.describe(self.layer(chain) / "tree") for chain in self.chains()}


def _inside(file, own, login=None):
    first = subid(file, own if login is None else login)

    def inside(number):
        return 0 if number == own else number - first + 1

    return inside


def hold_back(fake_registry, blob, after):
    """Answers for a blob stop after so many bytes, until `released` is set."""
    def fault(exchange):
        reply = exchange.honest()
        data = reply.whole()
        exchange.head(reply.status, reply.headers)
        exchange.piece(data[:after])
        while not fault.released and not exchange.stopping.is_set():
            time.sleep(0.01)
        try:
            exchange.piece(data[after:])
        except OSError:
            pass  # whom it was for was killed
    fault.released = False
    fake_registry.on(blob.digest, fault, nth=1)
    return fault


def unpacked(world, image):
    """The image's tree as GNU tar unpacks its layers, one over the other."""
    directory = world.directory("tree")
    for layer in image.layers:
        apply_layer(layer, directory)
    found = trees.describe(directory)
    shutil.rmtree(directory)
    return found


# -- processes

def helpers_of(pid):
    """{comm: [pids]} of all that runs below a cloister."""
    found = {}
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            found.setdefault(Path(f"/proc/{child}/comm").read_text().strip(), []).append(child)
    return found


def verbs_of(pid):
    """{what it does ("fetch", "verify", "inflate", ...): [pids]} of the helpers below a cloister."""
    found = {}
    for child in descendants(pid):
        with contextlib.suppress(OSError, IndexError):
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            name = os.path.basename(words[0]).decode()
            found.setdefault("fetch" if name == "cloister-fetch" else words[1].decode(), []).append(child)
    return found


def kill_group(running):
    """SIGKILL for all of a pull at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)


def all_gone(pids):
    return not any(alive(pid) for pid in pids)
