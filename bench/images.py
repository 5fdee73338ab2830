"""The image parts of the bench: what they share, and which they are.

The real image (tests/lib/real_image.py), or any other in an OCI directory, lies in Debian's
docker-registry on the loopback interface. Everything is below OUT/images and goes at the end.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from rig import CFLAGS, HEADERS, HERE, BenchError, need_tool

TOP = HERE.parent
sys.path.insert(0, str(TOP / "tests"))

from lib import images as image_files  # noqa: E402
from lib import real_image, samples  # noqa: E402
from lib.registry import Registry  # noqa: E402

ROOM = 20 << 30  # of free disk, below which stores are removed at once
PARTS = ["pulls", "layer", "pull-warm", "image-starts", "erofs"]
GLIBC_FLAGS = ["-std=gnu17", "-O2", "-Wall", "-Wextra"]
CORE_LIBRARIES = [f"lib{name}.a" for name in ("core", "seccomp_tables", "plan", "oci", "base")]


def build(out, name, command, sources):
    """Runs a compiler unless OUT/NAME is newer than its sources."""
    target = out / name
    newest = max(Path(source).stat().st_mtime for source in sources)
    if target.exists() and target.stat().st_mtime > newest:
        return target
    made = subprocess.run([*map(str, command), "-o", str(target)], capture_output=True, text=True)
    if made.returncode != 0:
        raise BenchError(f"building {name} failed: {(made.stderr.strip().splitlines() or ['no message'])[0]}")
    return target


def build_static(out, name):
    source = HERE / f"{name}.c"
    return build(out, name, [need_tool("musl-gcc"), *CFLAGS, *HEADERS, source], [source])


def build_floor_inflate(out):
    source = HERE / "floor_inflate.c"
    command = [need_tool("gcc"), *GLIBC_FLAGS, source, "-lisal", "-lcrypto"]
    target = out / "floor_inflate"
    made = subprocess.run([*map(str, command), "-o", str(target)], capture_output=True, text=True)
    if made.returncode != 0:
        raise BenchError("building floor_inflate failed: it needs libisal-dev and libssl-dev")
    return target


def build_resolve(out):
    """With the libraries of the core, as `make` has built them."""
    source, core = HERE / "images_resolve.c", TOP / "build/core"
    libraries = [core / name for name in CORE_LIBRARIES]
    missing = [path for path in libraries if not path.exists()]
    if missing:
        raise BenchError(f"{missing[0]} is not built")
    command = [need_tool("musl-gcc"), *CFLAGS, "-D_GNU_SOURCE", f"-I{TOP}/src", f"-I{TOP}", *HEADERS, source,
               "-Wl,--gc-sections", "-Wl,--start-group", *libraries, "-Wl,--end-group"]
    return build(out, "images_resolve", command, [source, *libraries])


@contextlib.contextmanager
def environment(**changes):
    """os.environ with these, for what is started meanwhile."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update({name: str(value) for name, value in changes.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class ImageRig:
    """The registry, the images in it, and a store of ours with some of them."""

    def __init__(self, rig, oci=None):
        self.rig, self.oci = rig, oci
        self.out = rig.out / "images"
        samples.remove(self.out) if self.out.exists() else None  # of a bench that was killed
        self.out.mkdir(mode=0o700)
        self.store = self.out / "store"
        self.names = {}

    def close(self):
        if "registry" in self.__dict__:
            self.registry.stop()
        shutil.rmtree(self.out, ignore_errors=True)

    @property
    def cloister(self):
        if not os.access(self.rig.cloister, os.X_OK):
            raise BenchError(f"{self.rig.cloister} is not built")
        return str(self.rig.cloister)

    @cached_property
    def registry(self):
        need_tool("docker-registry")
        return Registry(self.out / "registry")

    def image(self, variant="four"):
        """A lib.real_image.RealImage: the real one in four layers, or the same tree in another form."""
        if self.oci is None:
            return real_image.real_image(variant)
        given = real_image.load(Path(self.oci))
        if variant == "four":
            return given
        place = self.out / f"oci-{variant}"
        if not place.exists():
            real_image.write_variant(variant, given.image.layers, place)
        return real_image.load(place)

    def name(self, variant="four"):
        """What the image is called in the registry, where it is by now, its bytes in the page cache."""
        if variant not in self.names:
            image = self.image(variant).image
            self.names[variant] = image_files.push(image, self.registry, f"real/{variant}")
            for blob in image.all_blobs():
                for _ in image_files.Blob(self.registry.blob_path(blob.digest)).chunks():
                    pass
        return self.names[variant]

    def pulled(self, variant="four"):
        """Its name, and it is in our store."""
        name = self.name(variant)
        done = subprocess.run([self.cloister, "pull", "--quiet", name], capture_output=True, text=True, timeout=600,
                              env={**os.environ, "CLOISTER_STORE": str(self.store)})
        if done.returncode != 0:
            raise BenchError(f"cloister pull: {done.stderr.strip()[-300:]}")
        return name

    def layer_trees(self, store=None):
        """The trees of a store, in the order in which they were begun: of one image, the lowest first."""
        layers = (store or self.store) / "layers"
        return [layers / name / "tree" for name in sorted(os.listdir(layers), key=int)]

    def spread(self, name):
        """A directory below which ext4 makes each new one far from the others (chattr(1), T).

        Else a pull would get the inodes that one before it has given back, and ext4 looks at
        each of those again and again for minutes (recently_deleted of fs/ext4/ialloc.c): that
        can double the time of a pull.
        """
        path = self.out / name
        path.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["chattr", "+T", str(path)], capture_output=True)  # other file systems have no such habit
        return path

    def give_up(self, place):
        """A store that is done with. It goes at the end of the bench, unless the disk needs it: see spread()."""
        if shutil.disk_usage(place).free < ROOM:
            shutil.rmtree(place, ignore_errors=True)

    def size_of(self, variant="four"):
        layers = self.image(variant).image.layers
        return {"layers": len(layers), "compressed_bytes": sum(layer.blob.size for layer in layers)}


def reason(error):
    """One line of an exception that says why a part was skipped."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:400]
