"""Pulls onto a disk that is full: the error says so and what helps, nothing is damaged, and with room the pull goes on."""

import contextlib
import os
import random
import re

import pytest

from lib import samples, tars, trees
from lib.images import make_image, make_layer, push
from lib.pulling import Pulls, unpacked
from lib.world import command

MIB = 1 << 20
KIB = 1 << 10
CURES = ["No space left on device", "is full", "cloister prune --images", "CLOISTER_STORE"]


class Disk:
    """A file system of its own for a store, whose size can be changed."""

    def __init__(self, cloister, **limits):
        self.path = cloister.directory("disk", mode=0o700)
        options = [f"{key}={value}" for key, value in {"mode": "0700", "uid": cloister.uid, "gid": cloister.gid, **limits}.items()]
        command("mount", "-t", "tmpfs", "-o", ",".join(options), "disk", self.path)

    def resize(self, **limits):
        command("mount", "-o", ",".join(["remount", *(f"{key}={value}" for key, value in limits.items())]), self.path)

    def remount(self, option):
        command("mount", "-o", f"remount,{option}", self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        command("umount", self.path)


@pytest.fixture
def on_disk(cloister, start):
    """A store on a disk of these limits, as tmpfs has them (size, nr_inodes)."""
    def make(**limits):
        disk = start(Disk(cloister, **limits))
        pulls = Pulls(cloister, disk.path)
        pulls.disk = disk
        return pulls
    return make


@pytest.fixture(scope="module")
def tiny():
    return make_image([make_layer([tars.directory("etc"), tars.file("etc/text", "x\n"), tars.symlink("l", "etc")]), make_layer([tars.file("etc/other", "y\n")])],
                      {"Cmd": ["/bin/true"], "User": "root"})


def is_refused_for_room(outcome, name, *needles):
    outcome.refused(re.escape(name), *CURES, *needles)


def nothing_damaged(pulls):
    """What can be found is whole."""
    for chain in pulls.names("chains"):
        layer = pulls.layer(chain)
        assert (layer / "record").stat().st_size > 0 and (layer / "tree").is_dir()
    for image in pulls.names("launch"):
        assert (pulls.path / "launch" / image).stat().st_size > 0 and (pulls.path / "images" / image).stat().st_size > 0
    for place in ("work", "trash", "leases"):
        assert not pulls.names(place), pulls.left()


def test_no_room_for_the_download(on_disk, fake_registry):
    image = make_image([make_layer([tars.file("data", random.Random(3).randbytes(5 * MIB))])])
    blob, name = image.layers[0].blob, fake_registry.add(image)
    pulls = on_disk(size=3 * MIB)
    is_refused_for_room(pulls.pull("-q", name), name, blob.digest[:19])
    pulls.is_empty("downloads")
    kept = (pulls.path / "downloads" / blob.digest[7:]).stat().st_size
    fake_registry.forget()
    pulls.disk.resize(size=32 * MIB)
    pulls.pull("-q", name).ok()
    pulls.has(image, name).is_settled()
    assert kept >= MIB and [seen.range.rstrip("0123456789") for seen in fake_registry.seen(blob.digest)] == [f"bytes={kept}-"]


def test_no_room_for_the_tree(on_disk, fake_registry):
    """The download is whole by then, and isn't fetched again."""
    image = make_image([make_layer([tars.file(f"text-{number}", b"much of the same " * (MIB // 16)) for number in range(10)])])
    blob, name = image.layers[0].blob, fake_registry.add(image)
    pulls = on_disk(size=4 * MIB)
    is_refused_for_room(pulls.pull("-q", name), name, blob.digest[:19], '"text-[0-9]"')
    pulls.is_empty("downloads")
    fake_registry.forget()
    pulls.disk.resize(size=32 * MIB)
    pulls.pull("-q", name).ok()
    pulls.has(image, name).is_settled()
    assert sum(seen.size for seen in fake_registry.seen(blob.digest)) < blob.size, "nothing had been kept"


def test_no_inodes_for_the_tree(on_disk, fake_registry):
    image = make_image([make_layer([tars.file(f"f{number}") for number in range(1000)])])
    name = fake_registry.add(image)
    pulls = on_disk(size=32 * MIB, nr_inodes=500)
    is_refused_for_room(pulls.pull("-q", name), name, '"f[0-9]+"')
    pulls.is_empty("downloads")
    pulls.disk.resize(nr_inodes=5000)
    pulls.pull("-q", name).ok()
    pulls.has(image, name).is_settled()


@pytest.mark.parametrize("what, first, step", [("size", 4 * KIB, 4 * KIB), ("nr_inodes", 2, 1)])
def test_a_little_more_room_each_time(on_disk, fake_registry, tiny, what, first, step):
    """So that each file that is written is once the one for which there is no room."""
    name = fake_registry.add(tiny)
    pulls, size = on_disk(**{"size": 32 * MIB, "nr_inodes": 10_000, what: first}), first
    refused = 0
    for _ in range(120):
        outcome = pulls.pull("-q", name)
        nothing_damaged(pulls)
        if outcome.exit == 0:
            break
        outcome.refused("No space left on device", "is full", "CLOISTER_STORE")
        refused += 1
        size += step
        pulls.disk.resize(**{what: size})
    outcome.ok()
    assert refused >= 5, "it was never tight"
    pulls.has(tiny, name).is_settled()
    assert pulls.pull("-q", name).ok().lines() == [tiny.digest]


def test_prune_makes_room(on_disk, fake_registry, tiny):
    """Also on a disk that has none."""
    large = make_image([make_layer([tars.file("data", random.Random(4).randbytes(2 * MIB))])])
    old, new = fake_registry.add(large, "some/old"), fake_registry.add(make_image([make_layer([tars.file("data", random.Random(5).randbytes(2 * MIB))])]), "some/new")
    pulls = on_disk(size=5 * MIB)
    pulls.pull("-q", old).ok()
    is_refused_for_room(pulls.pull("-q", new), new)
    pulls.has(large, old)
    pulls.call("rmi", old).ok()
    pulls.call("prune", "--images").ok()
    pulls.pull("-q", new).ok()
    assert not pulls.names("downloads") and len(pulls.names("layers")) == 1


def test_image_that_is_there_needs_no_room(on_disk, fake_registry, tiny):
    name = fake_registry.add(tiny)
    pulls = on_disk(size=4 * MIB)
    pulls.pull("-q", name).ok()
    with contextlib.suppress(OSError), open(pulls.path / "filler", "wb") as filler:
        filler.write(bytes(8 * MIB))
    pulls.pull("-q", name).ok()
    pulls.has(tiny, name).is_settled()


def test_store_that_is_read_only(on_disk, fake_registry, tiny):
    name = fake_registry.add(tiny)
    pulls = on_disk(size=4 * MIB)
    pulls.disk.remount("ro")
    pulls.pull("-q", name).refused("Read-only file system", "CLOISTER_STORE")
    pulls.disk.remount("rw")
    pulls.pull("-q", name).ok()
    pulls.disk.remount("ro")
    outcome = pulls.pull("-q", name)
    assert outcome.exit == 0 or outcome.refused("Read-only file system")
    pulls.disk.remount("rw")


# -- ext4, as most stores are on

@pytest.fixture
def ext4(as_root, world):
    """A store on a small ext4 in a file."""
    place = world.directory("ext4")
    image, disk = place / "image", as_root.directory("store", mode=0o700)
    with open(image, "wb") as out:
        out.truncate(24 * MIB)
    command("mkfs.ext4", "-q", "-F", "-m", "0", image)
    command("mount", "-o", "loop", image, disk)
    os.chmod(disk, 0o700)
    yield Pulls(as_root, disk)
    command("umount", disk)
    image.unlink()


def test_ext4_that_is_full(ext4, world, registry, repository):
    """As root, whose layers are written through an id-mapped mount."""
    image = make_image([make_layer([tars.file("first", b"first " * 1000)]), make_layer([tars.file("data", random.Random(6).randbytes(16 * MIB))])])
    name = push(image, registry, repository)
    is_refused_for_room(ext4.pull("-q", name), name, image.layers[1].blob.digest[:19])
    ext4.is_empty("downloads", "layers", "chains", "lost+found")
    small = samples.small_image()
    ext4.call("prune", "--images").ok()
    assert not ext4.names("downloads")
    ext4.pull("-q", push(small, registry, f"{repository}-small")).ok()
    trees.assert_same(unpacked(world, small), ext4.has(small).describe(small), ignore=["."], names=("gnu tar", "cloister"))
