"""Layers that nobody should make: each is refused by name, or can do no harm, and leaves nothing behind."""

import io
import os
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from lib import packing, samples, tars, trees
from lib.images import bomb_layer, layer_of_blob, make_image, make_layer
from lib.patience import patience
from lib.pulling import Pulls

MIB = 1 << 20
UP = "../" * 30
EMPTY = tars.file("x")
HUGE = b"9" * 30


@pytest.fixture
def canary(world):
    """A directory of the host that everybody may write to, and nothing may."""
    path = world.directory("canary", mode=0o777)
    for name in ("secret", "passwd", ".wh.kept"):
        (path / name).write_text("canary\n")
        (path / name).chmod(0o666)
    before = trees.describe(path)
    yield path
    trees.assert_same(before, trees.describe(path), names=("before", "after"))


@pytest.fixture
def pull_layers(pulls, fake_registry):
    """Pulls the image of these layers from a registry that has no objections."""
    def pull(*layers, options=()):
        made = [layer if hasattr(layer, "blob") else make_layer(layer) for layer in layers]
        return pulls.pull("-q", *options, fake_registry.add(make_image(made)))
    return pull


def refused(pulls, outcome, *needles, layer=None):
    """One line that names image, layer and what is wrong; and the store is as empty as before."""
    outcome.refused(r"image 127\.0\.0\.1:\d+/some/name:latest: ", r"layer sha256:[0-9a-f]{12}" if layer is None else layer.blob.digest[:19], *needles)
    pulls.is_empty()
    assert outcome.seconds < patience(30), f"{outcome}"


# -- entries that are refused, each with the words of its error

def pax(body, name="etc/x", **more):
    return [tars.file(name, "x", pax_body=body, **more)]


def header(**fields):
    return [tars.file("etc/x", "x", fields=fields, format="ustar")]


ENTRIES = {
    # names
    "up": ([tars.file("../up", "x")], [r'"\.\./up"', r"\.\."]),
    "up-inside": ([tars.file("a/../../up", "x")], [r'"a/\.\./\.\./up"']),
    "up-and-back": ([tars.directory("a"), tars.file("a/../b", "x")], [r'"a/\.\./b"']),
    "up-directory": ([tars.directory("..")], [r"\.\."]),
    "up-link": ([tars.symlink("../up", "x")], [r'"\.\./up"']),
    "up-hardlink-name": ([EMPTY, tars.hardlink("../up", "x")], [r'"\.\./up"']),
    "up-device": ([tars.device("../up", 1, 3)], [r'"\.\./up"']),
    "up-gnu": ([tars.file("a/" * 60 + "../" * 70 + "up", "x", format="gnu")], [r"\.\."]),
    "up-ustar-prefix": ([tars.file("x", "x", format="ustar", fields={"prefix": b"../.."})], [r'"\.\./\.\./x"']),
    "empty-name": ([tars.file("", "x")], ["empty"]),
    "nul-in-name": (pax(tars.pax_record("path", b"etc/a\0b")), [r'"etc/a.*b"', "NUL"]),
    "nul-in-link": ([tars.Entry("l", tars.SYMLINK, pax=[("linkpath", b"a\0b")])], ['"l"', "NUL|link"]),
    "newline-in-name": ([tars.file("../new\nline", "x")], [r"new\\x0aline"]),
    "escapes-in-name": ([tars.file("../\033[2J\u202e", "x")], [r"\\"]),
    "long-part": ([tars.file("a" * 256, "x")], ["255 bytes"]),
    "long-name": ([tars.file("a/" * 3000 + "x", "x")], ["4095|1024 deep"]),
    "deep-name": ([tars.file("a/" * 1025 + "x", "x")], ["1024 deep"]),
    "longest-gnu-name": ([tars.file(b"n" * 9000, "x", format="gnu")], ["name of 9"]),
    # whiteouts
    "whiteout-up": ([tars.file("../.wh.x")], [r'"\.\./\.wh\.x"']),
    "whiteout-of-nothing": ([tars.file(".wh.")], [r'"\.wh\."', "hide nothing"]),
    "whiteout-of-dot": ([tars.file("a/.wh..")], [r'"a/\.wh\.\."']),
    "whiteout-of-dots": ([tars.file("a/.wh...")], [r'"a/\.wh\.\.\."']),
    "whiteout-as-directory": ([tars.file(".wh.a/x")], [r'"\.wh\.a/x"', "no directory"]),
    # links
    "hardlink-up": ([tars.hardlink("h", UP + "etc/passwd")], ['"h"', "etc/passwd"]),
    "hardlink-absolute": ([tars.hardlink("h", "/etc/passwd")], ['"h"', "hard link to", "etc/passwd"]),
    "hardlink-to-nothing": ([tars.hardlink("h", "nothing")], ['"h"', '"nothing"']),
    "hardlink-to-itself": ([tars.hardlink("h", "h")], ['"h"']),
    "hardlink-to-directory": ([tars.directory("d"), tars.hardlink("h", "d")], ['"h"', '"d"']),
    "hardlink-through-link": ([tars.symlink("way", "/etc"), tars.hardlink("h", "way/passwd")], ['"h"', "way/passwd"]),
    "hardlink-to-whiteout": ([tars.whiteout("x"), tars.hardlink("h", ".wh.x")], ['"h"']),
    "hardlink-to-top": ([tars.hardlink("h", ".")], ['"h"']),
    "symlink-to-nothing": ([tars.symlink("l", "")], ['"l"', "symbolic link"]),
    "symlink-too-long": ([tars.symlink("l", "x" * 5000)], ['"l"|4095']),
    "loop-on-the-way": ([tars.symlink("a", "b"), tars.symlink("b", "a"), tars.file("a/x", "x")], ['"a"', "symbolic link in a circle"]),
    "file-as-directory": ([tars.file("f", "x"), tars.file("f/x", "x")], ['"f" is no directory']),
    "top-as-file": ([tars.file("./", "x")], ["entry of another kind|own directory"]),
    "top-as-link": ([tars.symlink(".", "/etc")], ["entry of another kind|own directory"]),
    # types
    "unknown-type": ([tars.Entry("etc/x", b"Q")], ['"etc/x"', '"Q"|Q']),
    "multi-volume": ([tars.Entry("etc/x", b"M")], ['"etc/x"', "M"]),
    "type-of-no-letter": ([tars.Entry("etc/x", b"\xff")], ['"etc/x"']),
    # sizes
    "size-longer-than-archive": ([tars.file("etc/x", "four", size=5000, format="gnu")], ["ends in the middle|middle"]),
    "size-of-a-terabyte": ([tars.file("etc/x", "four", size=1 << 40, format="gnu")], ["--max-size|more than"]),
    "size-of-everything": ([tars.file("etc/x", "four", fields={"size": b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7})], ["byte|--max-size"]),
    "size-negative": (header(size=b"\xff" * 12), ["damaged|size"]),
    "size-nonsense": (header(size=b"12x4567 \0\0\0\0"), ["damaged|size"]),
    "size-of-a-directory": ([tars.Entry("d", tars.DIRECTORY, b"data" * 128)], []),
    "size-in-pax-negative": (pax(tars.pax_record("size", "-1")), ["damaged|size"]),
    "size-in-pax-nonsense": (pax(tars.pax_record("size", "1e3")), ["damaged|size"]),
    "size-in-pax-huge": (pax(tars.pax_record("size", HUGE)), ["damaged|size"]),
    "size-in-pax-small": ([tars.file("etc/x", b"y" * 2048, pax=[("size", 0)])], ["damaged"]),
    # headers
    "checksum": (header(chksum=b"0000000\0"), ["damaged", "checksum|header"]),
    "garbage": ([tars.Raw(b"garbage!" * 128)], ["damaged"]),
    "garbage-after": ([tars.file("etc/x", "x"), tars.Raw(b"garbage!" * 128)], ["damaged", "byte"]),
    "cut": ([tars.Raw(tars.tar([tars.file("etc/x", b"x" * 5000)])[:3000])], ["middle"]),
    "cut-in-header": ([tars.Raw(tars.tar([tars.file("etc/x", "x"), tars.file("y")], end=False)[:-300])], ["middle|damaged"]),
    "pax-length-lies": (pax(b"9999 path=x\n"), ["damaged"]),
    "pax-length-negative": (pax(b"-5 path=x\n"), ["damaged"]),
    "pax-length-zero": (pax(b"0 path=x\n"), ["damaged"]),
    "pax-no-equals": (pax(b"9 pathxx\n"), ["damaged"]),
    "pax-no-newline": (pax(b"10 path=xx"), ["damaged"]),
    "pax-of-gigabytes": ([tars.Raw(tars.extended(b"9 a=b\n", size=1 << 33))], ["bytes|damaged|pax"]),
    "pax-alone": ([tars.Raw(tars.extended(tars.pax_record("path", "x")))], ["damaged|middle|follow"]),
    "pax-many": ([tars.Raw(tars.extended(tars.pax_record("a", "b")) * 100), EMPTY], ["headers|damaged"]),
    "pax-owner-nonsense": (pax(tars.pax_record("uid", "root")), ["damaged|uid"]),
    "pax-time-nonsense": (pax(tars.pax_record("mtime", "soon")), ["damaged|mtime|time"]),
    "gnu-name-alone": ([tars.Raw(tars.long_word(b"L", b"name"))], ["damaged|middle|follow"]),
    "gnu-name-of-gigabytes": ([tars.Raw(tars.header(name=b"././@LongLink", size=1 << 32, type=b"L", magic=tars.GNU))], ["extended header"]),
    # sparse files
    "sparse-out-of-order": ([tars.sparse("s", [(0, b"1" * 512), (1024, b"2" * 512)], 4096, pairs=[(1024, 512), (0, 512)])], ["damaged|sparse"]),
    "sparse-overlap": ([tars.sparse("s", [(0, b"1" * 512), (1024, b"2" * 512)], 4096, pairs=[(0, 1024), (512, 512)])], ["damaged|sparse"]),
    "sparse-beyond": ([tars.sparse("s", [(0, b"1" * 512)], 4096, pairs=[(1 << 20, 512)])], ["damaged|sparse"]),
    "sparse-overflow": ([tars.sparse("s", [(0, b"1" * 512)], 4096, pairs=[((1 << 63) - 1, 512)])], ["damaged|sparse"]),
    "sparse-old-beyond": ([tars.sparse("s", [(0, b"1" * 512)], 4096, "old", pairs=[(8192, 512)])], ["damaged|sparse"]),
    "sparse-pieces-lie": ([tars.Entry("GNUSparseFile.0/s", tars.FILE, b"9999999\n".ljust(512, b"\0"),
                                      pax=[("GNU.sparse.major", 1), ("GNU.sparse.minor", 0), ("GNU.sparse.name", "s"), ("GNU.sparse.realsize", 10)])], ["pieces|damaged|sparse"]),
    "sparse-name-up": ([tars.sparse("../s", [], 4096)], [r"\.\./s"]),
    # attributes
    "xattr-too-large": ([tars.file("etc/x", "x", xattrs={"user.x": b"v" * 65537})], ["extended attribute"]),
    "xattr-too-many": ([tars.file("etc/x", "x", xattrs={f"user.{number}": b"v" for number in range(129)})], ["extended attributes"]),
    "xattr-more-than-disk": ([tars.file("etc/x", "x", xattrs={f"user.{number}": b"v" * 60000 for number in range(10)})], ['"etc/x"']),
}


@pytest.mark.parametrize("what", ENTRIES)
def test_entry_is_refused(pulls, pull_layers, canary, what):
    entries, needles = ENTRIES[what]
    layer = make_layer([tars.directory("etc"), tars.file("etc/first", "x"), *entries])
    refused(pulls, pull_layers(layer), *needles, layer=layer)


def test_layers_below_a_refused_one_are_good(pulls, pull_layers):
    """They are what their chain IDs say, and the next pull finds them."""
    good, bad = make_layer([tars.directory("etc"), tars.file("etc/good", "x")]), make_layer([tars.file("../bad")])
    pull_layers(good, bad).refused(bad.blob.digest[:19], r'"\.\./bad"')
    pulls.is_swept()
    assert not pulls.left("images", "launch", "refs", "names", "blobs/sha256") and len(pulls.names("layers")) == len(pulls.names("chains")) <= 1
    pull_layers(good).ok()
    assert len(pulls.names("layers")) == 1


def test_hard_link_to_a_lower_layers_file(pulls, pull_layers):
    """Docker and Podman write the file again in such a layer; a link alone has nothing to be a name of."""
    top = make_layer([tars.hardlink("h", "lower")])
    pull_layers([tars.file("lower", "x")], top).refused(top.blob.digest[:19], '"h"', '"lower"')
    pulls.is_swept()


def test_layer_that_deletes_what_it_then_uses(pulls, pull_layers):
    base = [tars.directory("bin"), tars.file("bin/tool", "x", 0o755)]
    top = make_layer([tars.whiteout("bin"), tars.hardlink("link", "bin/tool")])
    pull_layers(base, top).refused('"link"', "bin/tool", top.blob.digest[:19])
    pull_layers(base, [tars.whiteout("bin/tool"), tars.symlink("tool", "bin/tool"), tars.file("bin/other", "x")]).ok()


# -- attacks that do no harm: where they would have been felt, nothing is

def traversals(target):
    """Layers that reach `target`, a directory of the host, wherever they are unpacked by who follows what they say."""
    relative = UP + str(target).lstrip("/")
    return {
        "name": [[tars.file(f"{relative}/new", "attack")]],
        "symlink": [[tars.symlink("way", str(target)), tars.file("way/new", "attack")]],
        "symlink-relative": [[tars.symlink("way", relative), tars.file("way/new", "attack")]],
        "symlink-of-a-layer-below": [[tars.symlink("way", str(target))], [tars.file("way/new", "attack")]],
        "symlink-chain": [[tars.symlink("a", "b"), tars.symlink("b", str(target)), tars.file("a/new", "attack")]],
        "symlink-as-file": [[tars.symlink("file", f"{target}/secret"), tars.file("file", "attack")]],
        "symlink-as-directory": [[tars.symlink("dir", str(target)), tars.directory("dir", 0o700), tars.file("dir/new", "attack")]],
        "hardlink": [[tars.hardlink("h", f"{relative}/secret"), tars.file("h", "attack")]],
        "hardlink-through-symlink": [[tars.symlink("way", str(target)), tars.hardlink("h", "way/secret"), tars.file("h", "attack")]],
        "proc-root": [[tars.symlink("way", f"/proc/self/root{target}"), tars.file("way/new", "attack")]],
        "whiteout": [[tars.symlink("way", str(target)), tars.whiteout("way/secret")]],
        "whiteout-of-a-layer-below": [[tars.symlink("way", str(target))], [tars.whiteout("way/secret")]],
        "whiteout-name": [[tars.whiteout(f"{relative}/secret")]],
        "opaque": [[tars.symlink("way", str(target))], [tars.opaque("way")]],
        "mode": [[tars.symlink("way", str(target)), tars.directory("way", 0o700)]],
        "absolute": [[tars.file(f"{target}/new", "attack")]],
        "gnu-long-name": [[tars.file(f"{'x/' * 60}{'../' * 61}{relative}/new", "attack", format="gnu")]],
    }


def careless(layers, directory):
    """What unpacks without a look at names: as tar programs did, and some still do."""
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(tars.tar(layer))) as archive:
            for member in archive:
                place, base = os.path.split(member.name)
                where = os.path.join(directory, place)
                if base == ".wh..wh..opq":
                    for name in os.listdir(where):
                        os.unlink(os.path.join(where, name))
                elif base.startswith(".wh."):
                    os.unlink(os.path.join(where, base[4:]))
                elif member.isdir() and os.path.isdir(os.path.join(directory, member.name)):
                    os.chmod(os.path.join(directory, member.name), member.mode)
                elif member.issym():
                    os.symlink(member.linkname, os.path.join(directory, member.name))
                elif member.isdir():
                    os.makedirs(os.path.join(directory, member.name))
                elif member.islnk():
                    os.link(os.path.join(directory, member.linkname), os.path.join(directory, member.name))
                else:
                    os.makedirs(where, exist_ok=True)
                    Path(os.path.join(directory, member.name)).write_bytes(archive.extractfile(member).read())


ATTACKS = sorted(traversals(Path("/")))


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_works_on_who_is_careless(world, attack):
    """So that the next test looks where it would be felt."""
    target = world.directory("canary")
    (target / "secret").write_text("canary\n")
    before = trees.describe(target)
    deep = world.directory("deep") / "a/b/c"
    deep.mkdir(parents=True)
    careless(traversals(target)[attack], deep)
    assert trees.differences(before, trees.describe(target)), "nothing happened"


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_stays_in_the_layer(pulls, pull_layers, canary, attack):
    outcome = pull_layers(*traversals(canary)[attack])
    if outcome.exit != 0:
        outcome.refused("layer sha256:")
        pulls.is_swept()
        return
    for layer in pulls.names("layers"):  # what it wrote is its own: below the tree, by the names of the image
        for name, node in trees.describe(pulls.path / "layers" / layer / "tree").items():
            assert node.type != "char" or node.device == (0, 0), name


@pytest.mark.parametrize("name", ["gnu", "python"])
def test_tar_programs_follow_the_same_archives(world, name):
    """GNU tar follows links of its own archive only when told to keep them; Python's tarfile wherever they lead."""
    target, place = world.directory("canary"), world.directory("place")
    archive = place / "archive.tar"
    archive.write_bytes(tars.tar(traversals(target)["name"][0] if name == "gnu" else traversals(target)["symlink"][0]))
    tree = place / "a/b"
    tree.mkdir(parents=True)
    if name == "gnu":
        subprocess.run(["tar", "-xPf", archive, "-C", tree], check=True, capture_output=True, timeout=20)
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(tree)
    assert (target / "new").read_text() == "attack"


def test_what_is_unpacked_is_nobodys_to_run(pulls, pull_layers, as_user, world):
    """A setuid program of root's in an image is one behind a closed door."""
    layer = make_layer([tars.file("su", Path("/bin/busybox").read_bytes(), 0o4755)])
    pull_layers(layer).ok()
    program = next(pulls.path.glob("layers/*/tree/su"))
    assert program.stat().st_mode & 0o4000
    nobody = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "env", program, "id", "-u"]
    assert subprocess.run(nobody, capture_output=True, timeout=20).returncode in (126, 127)


def test_names_that_only_look_alike_are_two(pulls, pull_layers):
    names = ["Etc", "etc", "ETC", "\u00e9", "e\u0301", "a\u200bb", "ab", "x ", "x", "x."]
    pull_layers([tars.file(name, name) for name in names]).ok()
    assert set(os.listdir(next(pulls.path.glob("layers/*/tree")))) == set(names)


# -- blobs that aren't what they say

BROKEN = {
    "no-gzip": (layer_of_blob(b"not compressed at all" * 100), ["gzip"]),
    "gzip-cut": (layer_of_blob(packing.gzip(tars.tar([tars.file("x", os.urandom(9000))]))[:-3000]), ["gzip", "middle"]),
    "gzip-checksum": (layer_of_blob(packing.gzip(tars.tar([EMPTY]), crc=1)), ["gzip", "checksum"]),
    "gzip-length": (layer_of_blob(packing.gzip(tars.tar([EMPTY]), size=7)), ["gzip", "length|size|checksum"]),
    "gzip-then-garbage": (layer_of_blob(packing.gzip(tars.tar([EMPTY])) + b"garbage" * 100), ["gzip"]),
    "zstd-as-gzip": (layer_of_blob(packing.zstd(tars.tar([EMPTY]))), ["gzip"]),
    "gzip-as-zstd": (layer_of_blob(packing.gzip(tars.tar([EMPTY])), compression="zstd"), ["zstd"]),
    "zstd-cut": (layer_of_blob(packing.zstd(tars.tar([tars.file("x", os.urandom(9000))]))[:-3000], compression="zstd"), ["zstd", "middle"]),
    # 2 GiB of window: more than the decompressor gets (RFC 8878, 3.1.1.1.2)
    "zstd-window": (layer_of_blob(struct.pack("<IBB", packing.ZSTD_MAGIC, 0, 21 << 3) + b"\1\0\0", compression="zstd"), ["zstd"]),
    "empty-blob": (layer_of_blob(b""), []),
    "other-archive": (make_layer([tars.file("x", "other")], diff_id="sha256:" + "7" * 64), ["plain bytes", "config says sha256:777777777777"]),
    "gzip-as-plain": (layer_of_blob(packing.gzip(tars.tar([EMPTY])), compression="none"), ["archive"]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_blob_is_refused(pulls, pull_layers, what):
    layer, needles = BROKEN[what]
    refused(pulls, pull_layers(layer), *needles, layer=layer)


@pytest.mark.parametrize("by", [-1, 1, -100, 1 << 40])
def test_size_in_the_manifest_lies(pulls, pull_layers, by):
    honest = make_layer([tars.file("x", os.urandom(1000))])
    layer = make_layer([tars.file("x", "x")])
    layer = type(layer)(honest.blob, honest.diff_id, "gzip", {"size": honest.blob.size + by})
    refused(pulls, pull_layers(layer), layer=layer)


# -- bombs

def test_bomb_that_says_its_size_is_refused_at_once(pulls, pull_layers):
    layer = bomb_layer(1 << 40, "zstd")  # a terabyte of zeros, in 32 MiB
    refused(pulls, pull_layers(layer), "32GiB", "--max-size", layer=layer)


def test_layer_that_says_more_bytes_than_may_be_is_not_asked_for(pulls, pull_layers):
    honest = make_layer([tars.file("x", "x")])
    layer = type(honest)(honest.blob, honest.diff_id, "gzip", {"size": 1 << 40})
    outcome = pull_layers(layer)
    refused(pulls, outcome, "more bytes than --max-size and --max-files allow", layer=layer)


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_bomb_is_stopped_at_the_bound(pulls, pull_layers, how):
    layer = make_layer([tars.file(f"part-{number}", tars.Zeros(MIB)) for number in range(40)], how)
    refused(pulls, pull_layers(layer, options=["--max-size", "16MiB"]), "16MiB", "--max-size", layer=layer)
    pull_layers(layer, options=["--max-size", "40MiB"]).ok()


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_bomb_behind_the_archives_end(pulls, pull_layers, how):
    """No entry counts those zeros, but who hashes them does."""
    made = packing.bomb(1 << 34, how)
    stream = made.stream
    stream.head = (packing.gzip if how == "gzip" else packing.zstd)(tars.tar([EMPTY])) + stream.head
    layer = layer_of_blob(stream, compression=how)
    outcome = pull_layers(layer, options=["--max-size", "1MiB", "--max-files", "1"])
    refused(pulls, outcome, layer=layer)
    assert outcome.seconds < patience(10), f"{outcome}"


def test_attributes_count_as_content(pulls, pull_layers):
    layer = make_layer([tars.file(f"{number}", xattrs={"user.x": b"v" * 3000}) for number in range(600)])
    refused(pulls, pull_layers(layer, options=["--max-size", "1MiB"]), "--max-size", layer=layer)


def test_content_of_all_layers_is_bounded_together(pulls, pull_layers):
    layers = [[tars.file(f"{number}", bytes(300 << 10))] for number in range(8)]
    pull_layers(*layers, options=["--max-size", "2MiB"]).refused(r"image 127\.0\.0\.1:\d+/some/name:latest: ", "--max-size")
    pulls.is_swept()
    assert not pulls.left("launch", "refs")
    pull_layers(*layers, options=["--max-size", "2400KiB"]).ok()


def test_a_million_empty_files(pulls, pull_layers):
    """A bound, and a flag to raise it. (The default of half a million takes longer to show.)"""
    layer = samples.many_files()
    refused(pulls, pull_layers(layer, options=["--max-files", "5000"]), "5000", "--max-files", layer=layer)


def test_tree_that_is_deeper_than_names_is_removed_again(pulls, pull_layers):
    """Each link leads a thousand directories further down."""
    deep, entries = "/d" * 1000, []
    for number in range(6):
        entries += [tars.directory(f"{'link' if number else 'top'}{number}{deep}"), tars.symlink(f"link{number + 1}", f"{'link' if number else 'top'}{number}{deep}")]
    (digest,) = pull_layers(entries).ok().lines()
    pulls.call("rmi", digest).ok()
    pulls.is_empty()


def test_forgotten_directories_count_as_files(pulls, pull_layers):
    layer = make_layer([tars.file(f"{number}/" + "d/" * 50 + "x") for number in range(5)])
    refused(pulls, pull_layers(layer, options=["--max-files", "200"]), "200", "--max-files", layer=layer)


def test_header_for_all_entries_says_nothing(pulls, pull_layers):
    """Docker and Podman read no more in it: to them a name of all entries would be none."""
    pull_layers([tars.Raw(tars.extended(tars.pax_record("path", "../all") + tars.pax_record("comment", "x"), type=b"g")), tars.file("own")]).ok()
    assert os.listdir(next(pulls.path.glob("layers/*/tree"))) == ["own"]


def test_nothing_of_all_that_stays_in_the_way(as_root, fake_registry):
    """After refusals of every kind the same store takes a good image, and has nothing else."""
    pulls = Pulls(as_root)
    for layer in (make_layer([tars.file("../x")]), layer_of_blob(b"x" * 1000), make_layer([tars.file("x")], diff_id="sha256:" + "7" * 64)):
        pulls.pull("-q", fake_registry.add(make_image([layer]))).refused()
    image = samples.small_image()
    pulls.pull("-q", fake_registry.add(image)).ok()
    pulls.has(image).is_settled()
    assert len(pulls.names("layers")) == 3 and len(pulls.names("blobs/sha256")) == 2
