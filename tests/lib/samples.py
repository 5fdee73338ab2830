"""The images that most tests use: small, made in milliseconds, the same in every run."""

import fcntl
import functools
import hashlib
import os
import shutil
import zlib
from pathlib import Path

from lib import tars
from lib.images import Blob, Layer, make_image, make_layer
from lib.world import command

BUSYBOX = "/bin/busybox"
CACHE = Path(__file__).resolve().parents[2] / "build/images"
APP = 1234  # uid and gid of the user `app`
PASSWD = f"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\napp:x:{APP}:{APP}:app:/home/app:/bin/sh\n"
GROUP = f"root:x:0:\nstaff:x:50:app\napp:x:{APP}:\nnogroup:x:65534:\n"
FILES = 1_000_000


def base_entries():
    """Directories and /etc."""
    places = ["bin", "dev", "etc", "home", "proc", "root", "srv", "sys", "tmp", "usr", "var", "var/lib", "var/tmp"]
    modes = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
    return [*(tars.directory(name, modes.get(name, 0o755)) for name in places), tars.file("etc/passwd", PASSWD), tars.file("etc/group", GROUP),
            tars.file("etc/os-release", "ID=tests\n"), tars.file("etc/first", "layer 1\n"), tars.file("var/lib/removed", "layer 1\n"),
            tars.directory("var/lib/emptied"), tars.file("var/lib/emptied/lower", "layer 1\n")]


def program_entries():
    """busybox, whose applets are hard links."""
    data = Path(BUSYBOX).read_bytes()
    applets = [name for name in command(BUSYBOX, "--list").split() if name != "busybox"]
    return [tars.directory("bin"), tars.file("bin/busybox", data, 0o755), *(tars.hardlink(f"bin/{name}", "bin/busybox", 0o755) for name in applets)]


def application_entries():
    """What a program brings: its own files, some of them odd, and changes to the layers below.

    All directories on the way are in it, since engines make those that aren't as they like. And
    nothing is sparse: podman can't write such a layer again.
    """
    own = {"uid": APP, "gid": APP}
    return [*(tars.directory(name) for name in ("etc", "home", "srv", "var", "var/lib")),
            tars.file("etc/first", "layer 3\n"), tars.whiteout("var/lib/removed"), tars.directory("var/lib/emptied"),
            tars.opaque("var/lib/emptied"), tars.file("var/lib/emptied/upper", "layer 3\n"),
            tars.directory("home/app", 0o750, **own), tars.file("home/app/data", b"data\n" * 100, 0o600, mtime=tars.MTIME + 123_456_789, **own),
            tars.directory("srv/app", 0o2775, uid=APP, gid=50), tars.file("srv/app/run", "#!/bin/sh\necho ran as $(id -u)\n", 0o755, **own),
            tars.symlink("srv/app/link", "../../etc/first", **own), tars.symlink("srv/app/dangling", "/no/such/file"),
            tars.file("srv/app/setuid", "#!/bin/sh\n", 0o6755), tars.file("srv/app/attributes", "x\n", xattrs={"user.tests": b"va\0lue"}),
            tars.file("srv/app/ünï", "name\n"), tars.file(b"srv/app/" + b"long" * 40, "name\n"),
            tars.fifo("srv/app/fifo", 0o600)]


@functools.lru_cache(maxsize=None)
def small_layers(compression="gzip"):
    return tuple(make_layer(entries(), compression) for entries in (base_entries, program_entries, application_entries))


@functools.lru_cache(maxsize=None)
def small_image(kind="oci", compression="gzip"):
    """Three layers, about 1 MB: busybox, the user app of the groups app and staff, /bin/sh."""
    return make_image(small_layers(compression), {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin", "GREETING=hello"], "WorkingDir": "/srv/app"}, kind)


def cached(name, recipe, make, cache=None):
    """A file or directory build/images/NAME-KEY (or below another cache), made by make(path) when it isn't there; KEY is of the recipe's text.

    It is there whole or not at all; whoever comes while it is made waits.
    """
    cache = cache or CACHE
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    with open(cache / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            half = cache / f".{place.name}.half"
            remove(half)  # of one that was killed
            try:
                make(half)
                os.rename(half, place)
            except BaseException:
                remove(half)
                raise
    return place


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def many_files(number=FILES):
    """A layer of so many empty files in 1000 directories, streamed to a file once: 700 MB unpacked as an archive, 10 MB as gzip."""
    name = f"files-{number}"
    place = cached(name, f"{MANY_FILES} {number}", lambda path: _write_many(path, number))
    return Layer(Blob(place / "layer"), (place / "diff_id").read_text())


MANY_FILES = "1: d000/f000000, gzip -1"  # change it when the bytes change


def _write_many(path, number):
    path.mkdir()
    digest, stream = hashlib.sha256(), zlib.compressobj(1, wbits=31)
    with open(path / "layer", "wb") as out:
        for data in _many_headers(number):
            digest.update(data)
            out.write(stream.compress(data))
        out.write(stream.flush())
    (path / "diff_id").write_text("sha256:" + digest.hexdigest())


def _many_headers(number):
    """Blocks in pieces of about a directory; the checksum is that of a template and the name's digits."""
    template = bytearray(tars.tar([tars.file("d000/f000000")], end=False))
    template[148:156] = b" " * 8
    rest = sum(template) - sum(template[:12])
    tail = bytes(template[12:148])
    for directory in range(1000):
        pieces = [tars.tar([tars.directory(f"d{directory:03}")], end=False)]
        for file in range(directory, number, 1000):
            head = b"d%03d/f%06d" % (directory, file)
            pieces.append(head + tail + b"%06o\0 " % (rest + sum(head)) + bytes(template[156:]))
        yield b"".join(pieces)
    yield tars.END
