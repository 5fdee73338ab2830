"""A store of images made by hand: layers as `cloister pull` unpacks them, and launch records."""

import hashlib
import os
import pwd
import stat
from pathlib import Path

from lib import flat
from lib.trees import snapshot

IMAGE_STORE = 2  # enum cl_image_kind
DIRECTORIES = ["blobs", "blobs/sha256", "chains", "downloads", "images", "launch", "layers", "leases", "names", "refs",
               "trash", "work"]


def whole_name(name):
    """The name as the store knows it."""
    if "/" not in name:
        name = f"docker.io/library/{name}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def subid(file, uid):
    """The first sub-id of an ordinary user, or None."""
    login = pwd.getpwuid(uid).pw_name
    for line in Path(file).read_text().splitlines():
        who, first, _ = line.split(":")
        if who in (login, str(uid)):
            return int(first)
    return None


class Store:
    """A directory that belongs to uid, whose images' ids are that user's and sub-ids; root's are 0 to 65535."""

    def __init__(self, path, uid=0, gid=0):
        self.path, self.uid, self.gid = Path(path), uid, gid
        for name in ("", *DIRECTORIES):
            self._own_directory(self.path / name)
        self._own_file(self.path / "oci-layout", b'{"imageLayoutVersion": "1.0.0"}\n')
        self.count = 0

    def _own_directory(self, path):
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
        os.chown(path, self.uid, self.gid)

    def _own_file(self, path, data):
        path.write_bytes(data)
        path.chmod(0o600)
        os.chown(path, self.uid, self.gid)

    def _outside(self, file, own, inside):
        """Where an id of the image is on disk."""
        if self.uid == 0 or inside == 0:
            return inside if self.uid == 0 else own
        first = subid(file, self.uid)
        assert first is not None, f"{file} gives nothing to {self.uid}"
        return first + inside - 1

    def own(self, path, uid=0, gid=0):
        os.chown(path, self._outside("/etc/subuid", self.uid, uid), self._outside("/etc/subgid", self.gid, gid),
                 follow_symlinks=False)

    def layer(self, fill=None, number=None):
        """A new layer, filled by fill(its tree); its name."""
        self.count += 1
        name = str(number or self.count)
        top = self.path / "layers" / name
        self._own_directory(top)
        tree = top / "tree"
        tree.mkdir(mode=0o755)
        tree.chmod(0o755)
        if fill is not None:
            fill(tree)
        for path in [tree, *tree.rglob("*")]:
            if path.lstat().st_uid == 0:  # what a test gave to somebody stays theirs
                self.own(path)
        return name

    @staticmethod
    def whiteout(path):
        os.mknod(path, stat.S_IFCHR | 0o000, 0)

    @staticmethod
    def opaque(path):
        os.setxattr(path, "user.overlay.opaque", b"y")

    def add(self, name, layers, **config):
        """An image of these layers, the lowest first; returns its digest."""
        digest = "sha256:" + hashlib.sha256(f"{name} {layers} {config}".encode()).hexdigest()
        record = flat.plan(image_kind=IMAGE_STORE, image_path=str(self.path / "layers"), image_layers=layers,
                           digest=digest, **config)
        self.put(name, record, digest)
        return digest

    def put(self, name, record, digest="sha256:" + "0" * 64):
        """Any bytes as the record of an image."""
        launch = self.path / "launch" / digest.partition(":")[2]
        self._own_file(launch, record)
        key = hashlib.sha256(whole_name(name).encode()).hexdigest()
        self._own_file(self.path / "names" / key, whole_name(name).encode())
        ref = self.path / "refs" / key
        ref.unlink(missing_ok=True)
        os.link(launch, ref)
        return launch

    def snapshot(self):
        """Everything that a run may not change: all but the times of the records."""
        return snapshot(self.path / "layers")
