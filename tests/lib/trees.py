"""Small root file systems for rootfs:DIR."""

import os
import shutil
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
