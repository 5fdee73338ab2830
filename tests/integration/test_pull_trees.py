"""What an image's layers become in the store, entry by entry, as root and as an ordinary user."""

import dataclasses
import hashlib
import struct

import pytest

from lib import engines, flat, samples, tars, trees
from lib.images import make_image, make_layer, push
from lib.pulling import Pulls, hexadecimal, unpacked
from lib.real_image import real_image
from lib.store import subid

SECOND = 10**9
APP = samples.APP
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # version 2, effective: net_bind_service (linux/capability.h)
NOBODY = 65534  # whose namespace kept capabilities are bound to
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in ((1, 6, 0xffffffff), (4, 4, 0xffffffff), (0x20, 4, 0xffffffff)))
LONG = "long-name/" * 30


@pytest.fixture(scope="module")
def podman(world):
    with engines.Podman(world.directory("podman")) as made:
        yield made


@pytest.fixture
def tree_of(pulls, registry, repository):
    """The tree that an image of these layers' entries has."""
    def make(*layers):
        image = make_image([make_layer(entries) for entries in layers])
        pulls.pull(push(image, registry, repository)).ok()
        pulls.has(image).is_settled()
        return pulls.describe(image)
    return make


# -- the real image

@pytest.fixture(scope="module")
def real(registry):
    return push(real_image().image, registry, "trees/real")


@pytest.fixture(scope="module")
def real_tree(podman, registry, real):
    return podman.pull(registry, real).describe(real)


@pytest.mark.timeout(1800)  # it may have to be made first
def test_real_image_is_what_podman_unpacks(pulls, real, real_tree):
    """The top alone differs: no layer has an entry for it, and podman gives it the time of the pull."""
    image = real_image().image
    pulls.pull(real).ok()
    pulls.has(image).is_settled()
    tree = pulls.describe(image)
    trees.assert_same(real_tree, tree, ignore=["."], names=("podman", "cloister"))
    kinds = {kind: sum(node.type == kind for node in tree.values()) for kind in ("file", "directory", "symlink")}
    assert kinds["file"] > 5000 and kinds["directory"] > 500 and kinds["symlink"] > 500, kinds
    assert {node.uid for node in tree.values()} >= {0, 100} or {node.gid for node in tree.values()} >= {0, 42}
    assert [name for name, node in tree.items() if node.mode & 0o6000] and [name for name, node in tree.items() if node.links]


@pytest.mark.timeout(1800)
def test_real_image_by_zstd_is_the_same_tree(root_pulls, registry, real_tree):
    image = real_image("zstd").image
    root_pulls.pull(push(image, registry, "trees/zstd")).ok()
    trees.assert_same(real_tree, root_pulls.describe(image), ignore=["."], names=("podman", "cloister"))


# -- every kind of entry

def own(**more):
    return {"uid": APP, "gid": APP + 1, **more}


def every_kind():
    """Two layers: the second changes the first."""
    same = own(mtime=1_600_000_000 * SECOND + 123_456_789)
    lower = [*(tars.directory(name) for name in ("d", "gone", "emptied", "kept", "k")), tars.file("d/file", "text\n", 0o4751, **same),
             tars.hardlink("d/other", "d/file", 0o4751, **same), tars.hardlink("k/third", "./d/other", 0o4751, **same), tars.file("d/empty", "", 0),
             tars.file("d/far", "x", mtime=(1 << 33) * SECOND),
             tars.symlink("d/link", "../d/file", **own()), tars.symlink("d/away", "/etc/passwd"), tars.symlink("d/nowhere", "x" * 4000),
             tars.fifo("d/fifo", 0o622, **own()), tars.directory("d/sticky", 0o3777, **own(mtime=7)), tars.directory("d/closed", 0),
             tars.file("d/closed/inside", "x"), tars.file("d/last", "id", uid=65533, gid=65533),
             tars.file("gone/file", "x"), tars.file("emptied/lower", "x"), tars.directory("emptied/below"), tars.file("emptied/below/x", "x"), tars.file("kept/lower", "x"),
             tars.file("becomes-directory", "x"), tars.directory("becomes-file"), tars.file("becomes-file/inside", "x"), tars.symlink("becomes-real", "d")]
    upper = [tars.directory("d"), tars.directory("kept"), tars.whiteout("gone"), tars.whiteout("never-there"), tars.directory("emptied"), tars.file("emptied/upper", "y"), tars.opaque("emptied"),
             tars.file("kept/upper", "y"), tars.directory("becomes-directory"), tars.file("becomes-directory/inside", "y"), tars.file("becomes-file", "y"),
             tars.directory("becomes-real"), tars.file("becomes-real/inside", "y"), tars.file("d/empty", "replaced", 0o600)]
    return lower, upper


def test_every_kind_of_entry(tree_of):
    tree = tree_of(*every_kind())

    def seen(name, *fields):
        return tuple(getattr(tree[name], field) for field in fields)

    assert seen("d/file", "type", "mode", "uid", "gid", "mtime", "size") == ("file", 0o4751, APP, APP + 1, 1_600_000_000 * SECOND + 123_456_789, 5)
    assert tree["d/file"].links == tree["k/third"].links == ("d/file", "d/other", "k/third")
    assert seen("d/far", "mtime") == ((1 << 33) * SECOND,)
    assert seen("d/link", "type", "target", "uid", "gid") == ("symlink", "../d/file", APP, APP + 1)
    assert tree["d/away"].target == "/etc/passwd" and tree["d/nowhere"].target == "x" * 4000
    assert seen("d/fifo", "type", "mode", "uid") == ("fifo", 0o622, APP)
    assert seen("d/sticky", "mode", "uid", "mtime") == (0o3777, APP, 7) and seen("d/closed", "mode") == (0,) and "d/closed/inside" in tree
    assert seen("d/last", "uid", "gid") == (65533, 65533)
    assert seen("d/empty", "mode", "size") == (0o600, 8)
    assert {name for name in tree if name.startswith(("gone", "emptied", "kept", "becomes"))} == {
        "emptied", "emptied/upper", "kept", "kept/lower", "kept/upper", "becomes-directory", "becomes-directory/inside", "becomes-file", "becomes-real",
        "becomes-real/inside"}
    assert not [name for name in tree if ".wh." in name or name == "never-there"]
    assert seen("d/file", "xattrs") == ((),)


def test_every_kind_of_entry_is_as_podman_has_it(root_pulls, podman, registry, repository):
    image = make_image([make_layer(entries) for entries in every_kind()])
    name = push(image, registry, repository)
    root_pulls.pull(name).ok()
    trees.assert_same(podman.pull(registry, name).describe(name), root_pulls.describe(image), ignore=["."], names=("podman", "cloister"))


def test_top_directory_is_an_entry_like_others(tree_of):
    """Of the topmost layer that has any: each layer's own top lies over those below, in every engine."""
    top = tree_of([tars.file("x"), tars.Entry("./", tars.DIRECTORY, mode=0o751, uid=3, gid=4, mtime=5 * SECOND)])["."]
    assert (top.mode, top.uid, top.gid, top.mtime) == (0o751, 3, 4, 5 * SECOND)


def test_times_before_1970(tree_of):
    assert tree_of([tars.file("old", "x", mtime=-1000 * SECOND + 1)])["old"].mtime == -1000 * SECOND + 1


def test_attributes_of_a_hard_link_are_its_files(tree_of):
    """A link is another name; what its header says beside that is nothing."""
    tree = tree_of([tars.file("file", "x", 0o4711, **own(mtime=3)), tars.hardlink("link", "file", 0o777, uid=7, mtime=9)])
    assert (tree["link"].mode, tree["link"].uid, tree["link"].mtime) == (0o4711, APP, 3)


@pytest.mark.parametrize("form", ["pax", "gnu", "ustar"])
def test_names_of_every_kind(tree_of, form):
    names = ["plain", "./dotted", "sl//ash///es", "sp ace", "new\nline", "ünï", "-dash", "*?[", "..dots", "dots..", "...", "\\back", "x" * 99, "y" * 100, "d/" * 40 + "deep"]
    if form != "ustar":
        names += ["z" * 255, LONG + "end"]
    if form == "gnu":
        names += [b"\xff\xfe latin", b"\x01\x7f control"]
    tree = tree_of([tars.file(name, "x", format=form) for name in names])
    texts = [name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name for name in names]
    wanted = {text.replace("./dotted", "dotted").replace("///", "/").replace("//", "/") for text in texts}
    assert {name for name, node in tree.items() if node.type == "file"} == wanted


def test_name_that_begins_with_a_slash_is_below_the_root(tree_of):
    tree = tree_of([tars.file("/etc/absolute", "x"), tars.symlink("/abs-link", "/etc"), tars.hardlink("/abs-hard", "/etc/absolute")])
    assert tree["etc/absolute"].links == ("abs-hard", "etc/absolute") and tree["abs-link"].target == "/etc"


def test_directories_that_a_layer_forgot(tree_of):
    tree = tree_of([tars.file("a/b/c", "x", **own())])
    for name in ("a", "a/b"):
        assert dataclasses.replace(tree[name], links=None) == trees.Node("directory", 0o755, 0, 0, 0), tree[name]


def test_forgotten_directory_above_one_of_a_lower_layer(tree_of):
    """The lower layer's own attributes show: nothing was said of them above... where an engine can tell. Here the upper one's do."""
    tree = tree_of([tars.directory("a", 0o700, **own()), tars.file("a/lower")], [tars.file("a/upper")])
    assert {"a/lower", "a/upper"} <= set(tree) and tree["a"].type == "directory"


def test_link_on_the_way_of_a_name_is_followed_within_the_image(tree_of):
    """As chroot would: Docker and Podman do the same."""
    tree = tree_of([tars.directory("real"), tars.symlink("way", "/real"), tars.file("way/file", "x"), tars.symlink("up", "../../../real"), tars.file("up/other", "x")])
    assert {"real/file", "real/other"} <= set(tree) and tree["way"].type == "symlink"


def test_later_entries_replace_earlier_ones(tree_of):
    tree = tree_of([tars.file("x", "1"), tars.file("x", "2", 0o600), tars.symlink("y", "x"), tars.file("y", "file"), tars.file("z", "file"), tars.directory("z"),
                    tars.file("z/in", "x"), tars.directory("w", 0o700), tars.file("w/in", "x"), tars.directory("w", 0o711), tars.directory("v"), tars.file("v", "file"),
                    tars.file("h", "1"), tars.hardlink("i", "h"), tars.file("h", "other")])
    assert (tree["x"].size, tree["x"].mode) == (1, 0o600) and tree["y"].type == "file" and tree["z/in"].type == "file"
    assert tree["w"].mode == 0o711 and "w/in" in tree and tree["v"].type == "file"
    assert (tree["h"].size, tree["i"].size, tree["h"].links) == (5, 1, None)


@pytest.mark.parametrize("order", ["before", "after"])
def test_whiteouts_beside_what_the_layer_has_itself(tree_of, order):
    """They are about lower layers alone, wherever they stand."""
    marks = [tars.whiteout("file"), tars.whiteout("dir"), tars.opaque("opaque")]
    things = [tars.file("file", "new"), tars.directory("dir"), tars.file("dir/new", "x"), tars.directory("opaque"), tars.file("opaque/new", "x")]
    lower = [tars.file("file", "lower"), tars.directory("dir"), tars.file("dir/lower"), tars.directory("opaque"), tars.file("opaque/lower")]
    tree = tree_of(lower, marks + things if order == "before" else things + marks)
    assert set(tree) == {".", "file", "dir", "dir/new", "opaque", "opaque/new"} and tree["file"].size == 3


def test_whiteout_of_what_is_below_a_link(tree_of):
    tree = tree_of([tars.directory("real"), tars.file("real/x"), tars.file("real/y"), tars.symlink("way", "real")], [tars.whiteout("real/x")])
    assert "real/x" not in tree and "real/y" in tree


@pytest.mark.parametrize("form", ["0.0", "0.1", "1.0", "old"])
def test_sparse_files(tree_of, form):
    size, data = 10 << 20, b"\1" * 512
    segments = [(0, data), (1 << 20, data), (size - 512, data)]
    tree = tree_of([tars.sparse("sparse", segments, size, form), tars.sparse("hole", [], 32 << 20, form), tars.file("after", "x")])
    assert (tree["sparse"].size, tree["sparse"].holes, tree["after"].size) == (size, True, 1)
    assert tree["sparse"].sha256 == hashlib.sha256(data + bytes((1 << 20) - 512) + data + bytes(size - (1 << 20) - 1024) + data).hexdigest()


def test_devices_become_nothing(tree_of):
    tree = tree_of([tars.device("null", 1, 3), tars.device("sda", 8, 0, tars.BLOCKDEV), tars.device("like-a-whiteout", 0, 0), tars.file("after", "x")])
    assert set(tree) == {".", "after"}
    lower = [tars.file("shown", "x")]
    assert "shown" in tree_of(lower, [tars.device("shown", 0, 0)]), "a device of the archive is no whiteout"


def test_extended_attributes_by_the_table(pulls, tree_of, world):
    given = {"user.own": b"va\0lue", "user.empty": b"", "trusted.secret": b"1", "trusted.overlay.opaque": b"y", "user.overlay.opaque": b"y", "user.overlay.redirect": b"/etc",
             "security.capability": CAPABILITY, "security.selinux": b"system_u:object_r:bin_t:s0\0", "security.ima": b"\3", "system.posix_acl_access": ACL, "unknown.kind": b"1"}
    lower = [tars.directory("dir"), tars.file("dir/lower", "x")]
    upper = [tars.file("file", "x", 0o755, xattrs=given), tars.directory("dir", xattrs={key: value for key, value in given.items() if key != "security.capability"})]
    tree = tree_of(lower, upper)
    inside = subid("/etc/subuid", pulls.cloister.uid)
    nobody = NOBODY if pulls.cloister.identity == "root" else inside + NOBODY - 1
    kept = struct.pack("<IIIIII", 0x03000001, 1 << 10, 0, 0, 0, nobody)
    assert dict(tree["file"].xattrs) == {"user.own": b"va\0lue", "user.empty": b"", "security.capability": kept}
    assert dict(tree["dir"].xattrs) == {"user.own": b"va\0lue", "user.empty": b""} and "dir/lower" in tree, "an attribute makes nothing opaque"


def test_what_is_on_the_disk_is_the_images_owner_and_nobody_elses(user_pulls, registry, repository):
    """The user's own id is the image's root, its sub-ids are the others."""
    image = make_image([make_layer([tars.file("root", "x"), tars.file("app", "x", uid=APP, gid=APP)])])
    user_pulls.pull(push(image, registry, repository)).ok()
    tree = user_pulls.layers(image)[0] / "tree"
    first, uid = subid("/etc/subuid", user_pulls.cloister.uid), user_pulls.cloister.uid
    assert (tree / "root").stat().st_uid == uid and (tree / "app").stat().st_uid == first + APP - 1


def test_ids_on_roots_disk_are_the_images(root_pulls, registry, repository):
    """The uid that unpacks leaves no trace: overlay of a sandbox maps 0..65535 to its own range."""
    image = make_image([make_layer([tars.file("root", "x"), tars.file("last", "x", uid=65535, gid=65535)])])
    root_pulls.pull(push(image, registry, repository)).ok()
    tree = root_pulls.layers(image)[0] / "tree"
    assert [(path.stat().st_uid, path.stat().st_gid) for path in (tree, tree / "root", tree / "last")] == [(0, 0), (0, 0), (65535, 65535)]


@pytest.mark.parametrize("owner", [65536, 1 << 31, (1 << 32) - 1, 1 << 32])
def test_owner_that_no_image_has(pulls, registry, repository, owner):
    image = make_image([make_layer([tars.file("etc/strange", "x", uid=owner, gid=0)])])
    pulls.pull("-q", push(image, registry, repository)).refused("etc/strange", str(owner), repository)
    pulls.is_empty()


def test_same_bytes_make_the_same_tree(pulls, registry, repository):
    """Times of directories that nobody named too. Whiteouts have the time at which they were made, but nobody sees those."""
    image = make_image([make_layer([tars.file("a/b/c", "x"), tars.whiteout("a/gone")]), samples.small_image().layers[2]])
    name = push(image, registry, repository)
    found = []
    for store in (pulls, Pulls(pulls.cloister)):
        store.pull(name).ok()
        found.append([{name: node for name, node in trees.describe(layer / "tree").items() if name != "." and node.type != "char"}
                      for layer in store.layers(image)])
    assert found[0] == found[1]


def test_umask_and_cwd_change_nothing(pulls, registry, repository, world):
    image = samples.small_image()
    name = push(image, registry, repository)
    pulls.pull(name, umask=0o077).ok()
    trees.assert_same(unpacked(world, image), pulls.describe(image), ignore=["."], names=("gnu tar", "cloister"))

@pytest.mark.parametrize("places", [("proc", "dev", "tmp", "etc"), ("proc", "dev", "tmp"), ("proc",), ()], ids=lambda places: "-".join(places) or "nothing")
@pytest.mark.parametrize("above", [[], [tars.file("more", "m\n")]], ids=["one-layer", "two-layers"])
@pytest.mark.parametrize("hosts", [False, True], ids=["without-hosts", "with-hosts"])
def test_places_that_are_known_since_the_pull(pulls, fake_registry, places, above, hosts):
    """Mount points and /etc/hosts are looked for once; a run finds all of them there, or makes them."""
    lowest = [*samples.program_entries(), *map(tars.directory, places), *([tars.file("etc/hosts", "10.9.9.9 image\n")] if hosts else [])]
    image = make_image([make_layer(entries) for entries in ([lowest, above] if above else [lowest])], {"Env": ["PATH=/bin"]})
    name = fake_registry.add(image)
    pulls.pull("-q", name).ok()
    for profile in ("strict", "build"):
        found = pulls.run(name, "sh", "-c", "cat /etc/hosts; echo x >/tmp/new; cat /proc/self/comm; echo >/dev/null", opts=["--profile", profile])
        assert found.ok().lines() == ["127.0.0.1 localhost", "::1 localhost", found.lines()[2], "cat"], f"{found}"
    known = sum(1 << n for n, place in enumerate(("proc", "dev", "tmp")) if place in places) | hosts << 3
    assert flat.plan_number((pulls.path / "launch" / hexadecimal(image.digest)).read_bytes(), "image_places") == known
