"""The rig of the image tests itself: what makes layers, images and archives makes what it says; trees are compared to the last bit."""

import fcntl
import gzip
import io
import itertools
import json
import os
import subprocess
import tarfile
import threading
import zlib

import pytest

from lib import engines, images, layouts, packing, real_image, samples, tars, trees
from lib.images import make_image, make_layer, push, sha256
from lib.world import command

ENTRIES = [tars.directory("d", 0o1777, mtime=1_234_567_890_123_456_789), tars.file("d/f", "hi", uid=3_000_000, xattrs={"user.x": b"\0\xff\n"}),
           tars.hardlink("d/g", "d/f"), tars.symlink("d/" + "l" * 120, "t" * 150), tars.file("n" * 130 + "/" + "m" * 99, b"x", format="gnu"),
           tars.file("p" * 130 + "/" + "q" * 99, b"x", format="ustar"), tars.fifo("fifo"), tars.device("null", 1, 3), tars.file("ünï", "q"),
           tars.file(b"not-utf8-\xff", "q", gid=2**31 - 1), tars.file("old", mtime=-500_000_000)]
SEGMENTS = [(4096, b"a" * 1024), (100_000, b"b" * 10)]
BIN_SH = {"Cmd": ["/bin/sh"]}


def listed(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: member for member in opened}


def first_header(archive):
    return tarfile.TarInfo.frombuf(archive[:512], "utf-8", "surrogateescape")


def unpack(archive, directory):
    """By GNU tar; what came of it."""
    words = ["tar", "-x", "-p", "--numeric-owner", "--delay-directory-restore", "--xattrs", "--xattrs-include=*"]
    subprocess.run([*words, "-C", directory, "-f", "-"], input=archive, check=True, timeout=60)
    return trees.describe(directory)


# -- archives

def test_gnu_tar_and_python_read_honest_entries(world):
    archive = tars.tar(ENTRIES)
    seen, tree = listed(archive), unpack(archive, world.directory("tree"))
    for entry in ENTRIES:
        name = tars.to_bytes(entry.name).rstrip(b"/").decode("utf-8", "surrogateescape")
        member, node = seen[name], tree[name]
        if entry.type != tars.HARDLINK:  # which has what its file has
            assert (node.uid, node.gid, node.mtime) == (entry.uid, entry.gid, entry.mtime), name
        assert (member.uid, member.gid, member.type) == (entry.uid, entry.gid, entry.type), name
        assert entry.type == tars.SYMLINK or node.mode == entry.mode, name
    assert tree["d/f"].links == ("d/f", "d/g") and tree["d/f"].xattrs == (("user.x", b"\0\xff\n"),)
    assert tree["null"].device == (1, 3) and tree["d/" + "l" * 120].target == "t" * 150


@pytest.mark.parametrize("form", ["1.0", "0.1", "0.0", "old"])
def test_sparse_files_in_each_format(world, form):
    segments = SEGMENTS if form != "old" else [(at * 8192, b"a" * 512) for at in range(40)]  # more than one block of the map
    archive = tars.tar([tars.sparse("some/file", segments, 400_000, form), tars.file("after", "x")])
    wanted = bytearray(400_000)
    for at, data in segments:
        wanted[at:at + len(data)] = data
    place = world.directory("tree")
    tree = unpack(archive, place)
    assert (place / "some/file").read_bytes() == wanted and tree["after"].size == 1
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert opened.extractfile(opened.next()).read() == wanted


def test_a_map_of_a_sparse_file_can_lie():
    archive = tars.tar([tars.sparse("f", [(0, b"x" * 512)], 1024, pairs=[(1 << 40, 512), (0, 1 << 62)])])
    assert b"\n1099511627776\n512\n0\n4611686018427387904\n" in archive


def test_every_field_of_a_header_can_be_said():
    for name, (at, length) in tars.FIELDS.items():
        lie = bytes(range(1, length + 1)) if length < 200 else b"x" * length
        block = tars.tar([tars.Entry("f", fields={name: lie}, format="gnu")], end=False)
        assert block[at:at + length] == lie, name
        if name != "chksum":
            assert int(block[148:154], 8) == sum(block[:148]) + sum(block[156:]) + 8 * 32, name


@pytest.mark.parametrize("name", [b"../up", b"/abs", b"a/../../b", b"", b".", b"a\nb", b"\xff\xfe", b"a\0b", b".wh.", b"x" * 5000])
def test_names_of_any_bytes(name):
    archive = tars.tar([tars.Entry(name, data=b"x")])
    if len(name) > 100 or max(name, default=0) > 127:
        assert tars.pax_record("path", name) in archive
    else:
        assert archive[:100] == name.ljust(100, b"\0")


@pytest.mark.parametrize("kind", [bytes([kind]) for kind in (0, 55, 65, 75, 83, 86, 103, 120, 255)], ids=str)
def test_any_type_flag(kind):
    assert tars.tar([tars.Entry("f", kind)])[156:157] == kind


def test_sizes_that_lie():
    archive = tars.tar([tars.file("f", b"four", size=1 << 40, format="gnu"), tars.file("g", "x")])
    assert first_header(archive).size == 1 << 40
    assert len(archive) == 512 * 4 + 1024, "the data is as long as it is"
    negative = tars.tar([tars.file("f", fields={"size": b"\xff" * 12})], end=False)
    assert negative[124:136] == b"\xff" * 12
    assert len(tars.tar([tars.file("f", b"four", padded=False)], end=False)) == 516


def test_records_of_any_bytes():
    body = b"13 path=a\0\n-5 x=\n99999999999 y=z\n"
    archive = tars.tar([tars.file("f", pax_body=body), tars.Raw(tars.extended(b"9 a=b\n", type=b"g", size=1 << 33))])
    assert archive[512:512 + len(body)] == body and archive[156:157] == b"x"
    assert archive[1536 + 156:1536 + 157] == b"g" and archive[1536 + 124] & 0x80 == 0x80
    twice = tars.tar([tars.file("f", pax=[("path", "one"), ("path", "two"), ("size", "-1")])])
    assert b"12 path=one\n12 path=two\n11 size=-1\n" in twice
    for length in range(1, 1100):  # the length counts its own digits
        record = tars.pax_record("k", b"v" * length)
        assert int(record.partition(b" ")[0]) == len(record)


def test_a_tree_becomes_the_same_tree(world):
    one, two = world.directory("one"), world.directory("two")
    unpack(tars.tar(ENTRIES), one)
    trees.assert_same(trees.describe(one), unpack(tars.tar(tars.from_directory(one)), two), ignore=["."])


def test_an_upper_directory_becomes_whiteouts(world):
    place = world.directory("overlay")
    for name in ("lower/gone", "lower/emptied/old", "upper", "work", "merged"):
        (place / name).mkdir(parents=True)
    command("mount", "-t", "overlay", "-o", "lowerdir=lower,upperdir=upper,workdir=work,redirect_dir=off,metacopy=off", "overlay", "merged", cwd=place)
    try:
        (place / "merged/gone").rmdir()
        samples.remove(place / "merged/emptied")
        (place / "merged/emptied/new").mkdir(parents=True)
    finally:
        command("umount", place / "merged")
    assert list(listed(tars.tar(tars.from_directory(place / "upper", upper=True)))) == [".wh.gone", "emptied", "emptied/.wh..wh..opq", "emptied/new"]


# -- compression

@pytest.mark.parametrize("how", packing.COMPRESSIONS)
def test_every_compression_is_one(how):
    data = os.urandom(100_000) + bytes(200_000)
    packed = packing.compress(data, how)
    program = {"gzip": "gzip", "members": "gzip", "zstd": "zstd", "frames": "zstd", "none": None}[how]
    plain = subprocess.run([program, "-dc"], input=packed, capture_output=True, check=True, timeout=20).stdout if program else packed
    assert plain == data
    if how in ("members", "frames"):
        assert packed.count(b"\x1f\x8b\x08" if how == "members" else b"\x50\x2a\x4d\x18") >= 4


def test_a_gzip_header_with_everything():
    packed = packing.gzip(b"data", name=b"name", comment=b"comment", extra=b"AB\2\0xy", header_crc=True)
    assert packed[3] == 0x1E and gzip.decompress(packed) == b"data"
    assert subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True, timeout=20).stdout == b"data"


def test_a_gzip_trailer_can_lie():
    for lie in ({"crc": 0}, {"size": 5}):
        with pytest.raises(gzip.BadGzipFile):
            gzip.decompress(packing.gzip(b"data", **lie))


@pytest.mark.parametrize("how,ratio", [("gzip", 950), ("zstd", 15_000)])
def test_a_bomb_explodes(how, ratio):
    bomb = packing.bomb((20 << 20) + 7, how)
    assert bomb.ratio > ratio
    plain = subprocess.run([how, "-dc"], input=b"".join(bomb.stream), capture_output=True, check=True, timeout=60).stdout
    assert len(plain) == bomb.unpacked and sha256(plain) == bomb.diff_id
    assert listed(plain)["bomb"].size == (20 << 20) + 7


@pytest.mark.parametrize("how,most", [("gzip", 1100 << 20), ("zstd", 33 << 20)])
def test_a_bomb_of_a_terabyte_is_not_stored(how, most):
    bomb = packing.bomb(1 << 40, how)
    assert bomb.unpacked > 1 << 40 and len(bomb.stream) < most and bomb.diff_id is None
    first = b"".join(itertools.islice(iter(bomb.stream), 2))[:1 << 20]
    if how == "gzip":
        assert first_header(zlib.decompressobj(wbits=31).decompress(first, 512)).size == 1 << 40


def test_the_checksum_of_a_terabyte():
    for zeros in (0, 1, 511, 1 << 20):
        assert packing.crc_with_zeros(zlib.crc32(b"head"), zeros) == zlib.crc32(b"head" + bytes(zeros))


def test_a_bomb_is_served_in_ranges(fake_registry):
    bomb = images.bomb_layer(1 << 30)
    whole = bomb.blob.whole()
    assert bomb.blob.size == len(whole) and b"".join(bomb.blob.part(5, 2_000_000)) == whole[5:2_000_001]
    assert b"".join(bomb.blob.part(len(whole) - 3, len(whole) - 1)) == whole[-3:]


# -- images

def test_an_image_is_what_the_specification_says():
    layer = make_layer([tars.file("hello", "hi")])
    image = make_image([layer], BIN_SH)
    manifest, config = json.loads(image.manifest), json.loads(image.config)
    assert manifest["layers"] == [{"mediaType": images.LAYER["oci", "gzip"], "digest": sha256(layer.blob.whole()), "size": layer.blob.size}]
    assert config["rootfs"]["diff_ids"] == [sha256(gzip.decompress(layer.blob.whole()))] and config["config"] == BIN_SH
    assert manifest["config"]["digest"] == sha256(image.config) and image.digest == sha256(image.manifest)


def test_descriptors_and_fields_can_lie():
    layer = make_layer([], size=-1, digest="sha256:../../x", annotations={"a": "b"})
    manifest = json.loads(make_image([layer], schemaVersion="2", subject=None, mediaType=None, more=1).manifest)
    assert manifest["layers"][0] == {"mediaType": images.LAYER["oci", "gzip"], "digest": "sha256:../../x", "size": -1, "annotations": {"a": "b"}}
    assert manifest["schemaVersion"] == "2" and "mediaType" not in manifest and manifest["more"] == 1
    assert json.loads(images.make_config([layer], platform=("plan9", "vax", "v1"), config={"User": 7}, history=None))["config"] == {"User": 7}


def test_kinds_that_nobody_should_make(fake_registry):
    layer, image = make_layer([tars.file("hello", "hi")]), samples.small_image()
    assert {"layers", "manifests", "config"} <= set(json.loads(images.both_kinds(image).manifest))
    assert json.loads(images.schema1([layer]).manifest)["fsLayers"] == [{"blobSum": layer.blob.digest}]
    assert images.schema1([layer], signed=True).media_type.endswith("prettyjws")
    nested = images.nested_index(image, 5)
    assert len(nested.all_manifests()) == 6 and nested.all_blobs() == image.all_blobs()
    foreign = json.loads(make_image([images.foreign_layer(layer)]).manifest)["layers"][0]
    assert "nondistributable" in foreign["mediaType"] and foreign["urls"] and foreign["digest"] == layer.blob.digest
    module = json.loads(images.module_image(b"\0asm\1\0\0\0", "x.wasm").manifest)
    assert module["layers"][0]["mediaType"] == "application/wasm" and module["config"]["mediaType"] == images.WASM_CONFIG
    loop = images.looping_index(images.SOME_DIGEST)
    fake_registry.put_manifest("a", images.SOME_DIGEST, loop.manifest, loop.media_type)
    assert json.loads(loop.manifest)["manifests"][0]["digest"] == images.SOME_DIGEST != loop.digest


def test_what_a_registry_would_refuse_is_pushed_to_the_fake_one(registry, fake_registry):
    broken = make_image([images.layer_of_blob(b"no gzip")], layers=[{"mediaType": "x", "digest": images.SOME_DIGEST, "size": 7}])
    with pytest.raises(RuntimeError, match="MANIFEST_BLOB_UNKNOWN"):
        push(broken, registry, "rig/broken")
    assert fake_registry.add(broken).startswith(fake_registry.address)


# -- files

@pytest.mark.parametrize("compression", packing.COMPRESSIONS)
def test_skopeo_reads_oci_directories(world, compression):
    place, image = world.directory("oci"), samples.small_image(compression=compression)
    layouts.write_oci_directory(place / "oci", {"x": image})
    engines.skopeo_copy(f"oci:{place}/oci:x", f"dir:{place}/out", place)
    assert (place / "out/manifest.json").read_bytes() == image.manifest


def test_skopeo_reads_oci_archives(world):
    place, image = world.directory("archive"), samples.small_image()
    layouts.write_oci_archive(place / "oci.tar", {"x": image, "y": make_image([], BIN_SH)})
    engines.skopeo_copy(f"oci-archive:{place}/oci.tar:x", f"dir:{place}/out", place)
    assert (place / "out/manifest.json").read_bytes() == image.manifest


@pytest.mark.parametrize("style", ["save", "oci"])
def test_skopeo_reads_docker_archives(world, style):
    place, image = world.directory("archive"), samples.small_image()
    layouts.write_docker_archive(place / "saved.tar", {"some/name:x": image}, style)
    engines.skopeo_copy(f"docker-archive:{place}/saved.tar:some/name:x", f"oci:{place}/out:x", place)
    copied = real_image.load(place / "out").image
    assert [layer.diff_id for layer in copied.layers] == [layer.diff_id for layer in image.layers]


def test_archives_of_docker_old_and_new():
    image = samples.small_image()
    names = {style: [tars.to_bytes(entry.name).decode() for entry in layouts.docker_entries({"a/b:x": image}, style)] for style in ("save", "oci", "ancient")}
    assert "manifest.json" in names["save"] and "repositories" in names["save"] and sum(name.endswith("/layer.tar") for name in names["save"]) == 3
    assert "index.json" in names["oci"] and "manifest.json" in names["oci"]
    assert "manifest.json" not in names["ancient"] and "repositories" in names["ancient"]


# -- samples

def test_the_small_image(world):
    image, place = samples.small_image(), world.directory("tree")
    assert len(image.layers) == 3 and sum(blob.size for blob in image.all_blobs()) < 1_500_000
    for layer in image.layers:
        real_image.apply_layer(layer, place)
    tree = trees.describe(place)
    assert tree["bin/sh"].links == tree["bin/busybox"].links and len(tree["bin/sh"].links) > 200
    assert "app:x:1234:1234:" in (place / "etc/passwd").read_text() and "staff:x:50:app" in (place / "etc/group").read_text()
    assert (tree["home/app/data"].uid, tree["srv/app"].gid, tree["srv/app"].mode) == (1234, 50, 0o2775)
    assert "var/lib/removed" not in tree and "var/lib/emptied/lower" not in tree and "var/lib/emptied/upper" in tree
    assert subprocess.run(["chroot", place, "/bin/sh", "-c", "id -u app"], capture_output=True, check=True, timeout=20).stdout == b"1234\n"


def test_many_files(world):
    place = world.directory("many") / "layer"
    samples._write_many(place, 2500)
    archive = gzip.decompress((place / "layer").read_bytes())
    members = listed(archive)
    assert sha256(archive) == (place / "diff_id").read_text() and len(members) == 3500
    assert members["d007/f002007"].isreg() and members["d007/f002007"].size == 0


def test_what_is_cached_is_whole_and_made_once(world):
    cache, made, inside = world.directory("cache"), [], threading.Event()
    free = threading.Event()

    def make(path):
        made.append(path)
        inside.set()
        free.wait(10)
        path.mkdir()
        (path / "file").write_text("whole")

    found = []
    threads = [threading.Thread(target=lambda: found.append(samples.cached("thing", "recipe", make, cache))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(10) and not list(cache.glob("thing-*")), "seen before it is whole"
    free.set()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1 and found[0] == found[1] and (found[0] / "file").read_text() == "whole"
    assert samples.cached("thing", "another recipe", make, cache) != found[0]
    with pytest.raises(ZeroDivisionError):
        samples.cached("thing", "a bad recipe", lambda path: (path.mkdir(), 1 / 0), cache)
    assert len(list(cache.iterdir())) == 3, "a lock and two things"
    with open(cache / "thing.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("variant,layers", [("ten", 8), ("one", 1), ("zstd", 3)])  # ten of the real image's four
def test_variants_of_an_image_are_the_same_tree(world, variant, layers):
    """What the real image's variants are made by, on the small one."""
    one, two, place = (world.directory(name) for name in ("one", "two", "oci"))
    for layer in samples.small_layers():
        real_image.apply_layer(layer, one)
    real_image.write_variant(variant, samples.small_layers(), place / "oci")
    made = real_image.load(place / "oci")
    assert len(made.image.layers) == layers
    made.unpack(two)
    trees.assert_same(trees.describe(one), trees.describe(two), ignore=["."])
    engines.skopeo_copy(f"oci:{place}/oci:latest", f"dir:{place}/out", place)


# -- trees

def make_two(world):
    """The same tree twice."""
    found = []
    for name in ("one", "two"):
        place = world.directory(name)
        (place / "d").mkdir()
        (place / "d/file").write_text("content\n")
        (place / "link").symlink_to("d/file")
        os.mkfifo(place / "fifo")
        os.link(place / "d/file", place / "d/other")
        os.mknod(place / "dev", 0o20644, os.makedev(1, 3))
        (place / "sparse").write_bytes(bytes(1 << 20))
        for path in (place / "d/file", place / "sparse", place / "fifo", place / "dev", place / "d", place):
            os.utime(path, ns=(1, tars.MTIME))
        os.utime(place / "link", ns=(1, tars.MTIME), follow_symlinks=False)
        found.append(place)
    return found


CHANGES = {
    "mode": ("d/file", lambda path: path.chmod(0o4644)),
    "uid": ("d/file", lambda path: os.chown(path, 1, -1)),
    "gid": ("d/file", lambda path: os.chown(path, -1, 1)),
    "mtime": ("d/file", lambda path: os.utime(path, ns=(1, tars.MTIME + 1))),
    "sha256": ("d/file", lambda path: path.write_text("Content\n")),
    "size": ("d/file", lambda path: path.write_text("longer content\n")),
    "target": ("link", lambda path: (path.unlink(), path.symlink_to("d/else"))),
    "links": ("d/other", lambda path: (path.unlink(), path.write_text("content\n"))),
    "xattrs": ("d/file", lambda path: os.setxattr(path, "user.x", b"1")),
    "type": ("fifo", lambda path: (path.unlink(), path.mkdir())),
    "device": ("dev", lambda path: (path.unlink(), os.mknod(path, 0o20644, os.makedev(1, 5)))),
    "holes": ("sparse", lambda path: (path.write_bytes(b""), os.truncate(path, 1 << 20))),
    "only in one": ("fifo", lambda path: path.unlink()),
    "only in two": ("new", lambda path: path.mkdir()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_each_kind_of_difference_is_found(world, what):
    one, two = make_two(world)
    trees.assert_same(trees.describe(one), trees.describe(two))
    name, change = CHANGES[what]
    change(two / name)
    lines = trees.differences(trees.describe(one), trees.describe(two), ignore=[] if what == "mtime" else ["mtime"], names=("one", "two"))
    found = [line for line in lines if line.startswith(f"'{name}': ") and what in line]
    assert len(found) == 1, lines
    with pytest.raises(AssertionError, match=what):
        trees.assert_same(trees.describe(one), trees.describe(two), names=("one", "two"))
    if what in trees.FIELDS:
        assert not [line for line in trees.differences(trees.describe(one), trees.describe(two), ignore=[what]) if f"{what} " in line]


def test_an_overlay_is_described_as_the_kernel_merges_it(world):
    upper, lower = world.directory("upper"), world.directory("lower")
    (lower / "below").write_text("x")
    (lower / "gone").write_text("x")
    (lower / "d").mkdir()
    (lower / "d/old").write_text("x")
    (upper / "d").mkdir()
    os.setxattr(upper / "d", "trusted.overlay.opaque", b"y")
    (upper / "d/new").write_text("x")
    os.mknod(upper / "gone", 0o20000, 0)
    assert list(trees.describe_overlay([upper, lower])) == [".", "below", "d", "d/new"]
    assert list(trees.describe_overlay([lower])) == [".", "below", "d", "d/old", "gone"]
    layers = [world.directory("layer-of-a-long-name-" + "x" * 100) for _ in range(40)]  # more than a page of names
    for number, layer in enumerate(layers):
        (layer / f"f{number}").touch()
    assert len(trees.describe_overlay(layers)) == 41


# -- the real image

@pytest.mark.timeout(1800)  # it may have to be made first
def test_podman_unpacks_the_real_image_as_gnu_tar_does(world, start, registry):
    image, tree = real_image.real_image(), world.directory("tree", mode=0o700)
    assert len(image.image.layers) == 4 and 200e6 < sum(layer.blob.size for layer in image.image.layers) < 350e6
    image.unpack(tree)
    wanted = trees.describe(tree)
    samples.remove(tree)
    podman = start(engines.Podman(world.directory("podman", mode=0o700)))
    name = push(image.image, registry, "rig/real")
    trees.assert_same(wanted, podman.pull(registry, name).describe(name), ignore=["."])
    assert {"usr/bin/gcc", "usr/bin/python3", "usr/bin/git", "usr/bin/make"} <= set(wanted) and len(wanted) > 10_000


