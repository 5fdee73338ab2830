"""Small root file systems for rootfs:DIR, and what is in a tree, entry by entry."""

import contextlib
import dataclasses
import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lib.world import command

BUSYBOX = "/bin/busybox"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nplain:x:1000:1000:plain:/home/plain:/bin/sh\nother:x:1234:1235::/:/bin/sh\n"
GROUP = "root:x:0:\nplain:x:1000:\nother:x:1235:\n"


class Tree:
    """A directory that is used as rootfs:DIR."""

    def __init__(self, path):
        self.path = Path(path)

    def __str__(self):
        return f"rootfs:{self.path}"

    def snapshot(self):
        """Every name with its kind, mode, owner, size and link: what a run may not change."""
        return snapshot(self.path)


def snapshot(top):
    found = {}
    for directory, names, files in os.walk(top):
        for name in ["", *names, *files]:
            path = os.path.join(directory, name)
            seen = os.lstat(path)
            found[path] = (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_size if not os.path.isdir(path) else 0,
                           os.readlink(path) if os.path.islink(path) else None, seen.st_mtime_ns)
    return found


def takes_user_attributes(directory):
    """Whether the file system there has attributes of users: a tmpfs since Linux 6.6."""
    with tempfile.TemporaryFile(dir=directory) as file:
        try:
            os.setxattr(file.fileno(), "user.tests", b"")
        except OSError:
            return False
    return True


def build_probe(directory):
    """The compiled tests/lib/probe.c."""
    path = directory / "probe"
    command("gcc", "-static", "-O1", "-o", path, Path(__file__).with_name("probe.c"))
    return path


def make_tree(path, probe):
    """busybox with hard-linked applets, the probe, and the usual directories."""
    path = Path(path)
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "home/plain", "var/tmp", "srv/work", "srv/open"):
        (path / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (path / name).chmod(0o1777)
    (path / "srv/open").chmod(0o777)
    (path / "srv/open/given").write_text("given\n")
    (path / "srv/open/given").chmod(0o666)
    (path / "srv/work/given").write_text("given\n")
    (path / "etc/passwd").write_text(PASSWD)
    (path / "etc/group").write_text(GROUP)
    (path / "etc/image-file").write_text("image\n")
    shutil.copy(BUSYBOX, path / "bin/busybox")
    (path / "bin/busybox").chmod(0o755)
    for applet in command(BUSYBOX, "--list").split():
        target = path / "bin" / applet
        if not target.exists():
            os.link(path / "bin/busybox", target)
    shutil.copy(probe, path / "bin/probe")
    (path / "bin/probe").chmod(0o755)
    (path / "bin/not-executable").write_text("#!/bin/sh\necho no\n")
    (path / "bin/not-executable").chmod(0o644)
    (path / "bin/bad-format").write_bytes(b"\x7fELF nonsense")
    (path / "bin/bad-format").chmod(0o755)
    (path / "bin/bad-interpreter").write_text("#!/no/such/interpreter\n")
    (path / "bin/bad-interpreter").chmod(0o755)
    return Tree(path)


TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFCHR: "char", stat.S_IFBLK: "block",
         stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}


@dataclass(frozen=True)
class Node:
    """One entry of a tree. What a type doesn't have is None."""

    type: str
    mode: int
    uid: int
    gid: int
    mtime: int            # ns
    size: int = None      # of files
    sha256: str = None
    holes: bool = None    # is there one?
    target: str = None    # of symbolic links
    device: tuple = None
    links: tuple = None   # every name in the tree of a file that has several
    xattrs: tuple = ()    # of (name, bytes)


FIELDS = tuple(field.name for field in dataclasses.fields(Node))


def describe(top, content=True):
    """{name below top: Node}, with the top itself as "."; names that are no UTF-8 have surrogates."""
    top, found, inodes = os.fspath(top), {}, {}
    for directory, names, files in os.walk(top, onerror=_raise):
        for path in [directory] * (directory == top) + [os.path.join(directory, name) for name in names + files]:
            name = os.path.relpath(path, top)
            seen = os.lstat(path)
            found[name] = _node(path, seen, content)
            if seen.st_nlink > 1 and not stat.S_ISDIR(seen.st_mode):
                inodes.setdefault((seen.st_dev, seen.st_ino), []).append(name)
    for names in inodes.values():
        for name in names if len(names) > 1 else ():
            found[name] = dataclasses.replace(found[name], links=tuple(sorted(names)))
    return dict(sorted(found.items()))


def _raise(error):
    raise error


def _node(path, seen, content):
    kind = TYPES[stat.S_IFMT(seen.st_mode)]
    more = {}
    if kind == "file":
        more = {"size": seen.st_size, **(_content(path) if content else {})}
    elif kind == "symlink":
        more = {"target": os.readlink(path)}
    elif kind in ("char", "block"):
        more = {"device": (os.major(seen.st_rdev), os.minor(seen.st_rdev))}
    xattrs = tuple((key, os.getxattr(path, key, follow_symlinks=False)) for key in sorted(os.listxattr(path, follow_symlinks=False)))
    return Node(kind, stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, seen.st_mtime_ns, xattrs=xattrs, **more)


def _content(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        holes = size > 0 and os.lseek(opened.fileno(), 0, os.SEEK_HOLE) < size
        opened.seek(0)
        while data := opened.read(1 << 20):
            digest.update(data)
    return {"sha256": digest.hexdigest(), "holes": holes}


@contextlib.contextmanager
def overlay(layers, options=()):
    """Layer directories, the topmost first, as the one tree that the kernel makes of them; read-only, and root's."""
    if len(layers) == 1:
        yield Path(layers[0])
        return
    with tempfile.TemporaryDirectory(prefix="cloister-overlay-", dir="/var/tmp") as place:
        merged = Path(place, "merged")
        merged.mkdir()
        for number, layer in enumerate(layers):  # short names: the options are one page
            Path(place, str(number)).symlink_to(Path(layer).resolve())
        lower = ":".join(str(number) for number, _ in enumerate(layers))
        command("mount", "-t", "overlay", "-o", ",".join(["ro", f"lowerdir={lower}", *options]), "overlay", merged, cwd=place)
        try:
            yield merged
        finally:
            command("umount", merged)


def describe_overlay(layers, options=(), content=True):
    """What layer directories, the topmost first, are together. options: userxattr for an ordinary user's layers."""
    with overlay(layers, options) as merged:
        return describe(merged, content)


def differences(one, other, ignore=(), names=("one", "other")):
    """Lines that say what is different between two descriptions; ignore: fields of Node, or entries by name."""
    lines = []
    for name in sorted(set(one) | set(other)):
        if name in ignore:
            continue
        if name not in one or name not in other:
            lines.append(f"{ascii(name)}: only in {names[0] if name in one else names[1]}: {_text((one.get(name) or other[name]))}")
            continue
        changed = [field for field in FIELDS if field not in ignore and getattr(one[name], field) != getattr(other[name], field)]
        if changed:
            lines.append(f"{ascii(name)}: " + ", ".join(f"{field} {_value(field, one[name])} in {names[0]}, {_value(field, other[name])} in {names[1]}"
                                                        for field in changed))
    return lines


def _value(field, node):
    value = getattr(node, field)
    return oct(value) if field == "mode" else value


def _text(node):
    return " ".join(f"{field}={_value(field, node)}" for field in FIELDS if getattr(node, field) not in (None, ()))


def assert_same(one, other, ignore=(), names=("one", "other")):
    lines = differences(one, other, ignore, names)
    assert not lines, f"{len(lines)} entries differ:\n" + "\n".join(lines[:40])
