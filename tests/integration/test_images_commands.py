"""images, rmi, import, prune --images, inspect --image, and pull of what is on this host."""

import errno
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from lib import layouts, tars
from lib.faults import syscall_numbers
from lib.images import make_image, make_layer, sha256
from lib.runner import Cloister, poll, text
from lib.samples import base_entries, program_entries, small_image, small_layers
from lib.terminal import Terminal
from lib.world import command, find_binary

SHELL = {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}


class Images:
    """cloister with an image store of its own, which isn't made yet."""

    def __init__(self, cloister):
        self.cloister = cloister
        self.place = cloister.directory("images")
        self.path = self.place / "store"
        self.env = {"CLOISTER_STORE": str(self.path), "XDG_CONFIG_HOME": str(self.place / "config")}

    def call(self, *words, env=None, **options):
        return self.cloister.call(*words, env={**self.env, **(env or {})}, **options)

    def ok(self, *words, **options):
        return self.call(*words, **options).ok()

    def run(self, image, *words, **options):
        return self.cloister.run(image, *words, env=self.env, **options)

    def start(self, image, *words, **options):
        return self.cloister.start(image, *words, env=self.env, **options)

    def list(self, *words):
        return json.loads(self.ok("images", "--format", "json", *words).out)

    def names(self):
        return self.ok("images", "--names").lines()

    def one(self, word):
        (found,) = json.loads(self.ok("inspect", "--image", word).out)
        return found

    def add(self, name, image):
        """The image under that name; its digest."""
        where = layouts.write_oci_directory(self.place / f"layout-{len(os.listdir(self.place))}", {None: image})
        return self.ok("import", "-q", f"oci:{where}", *([name] if name else [])).word()

    def write(self, name, data):
        path = self.place / name
        path.write_bytes(data)
        path.chmod(0o644)
        return path

    def files(self, *below):
        """What lies in these directories of the store."""
        return sorted(str(path.relative_to(self.path)) for name in below for path in (self.path / name).iterdir())

    def whole(self):
        """Nothing half-done lies about."""
        assert self.files("work", "trash", "downloads", "leases") == []
        used = {layer for image in self.list() for layer in [image["digest"]]}
        assert len(self.files("launch")) == len(self.files("images")) == len(used)


@pytest.fixture
def images(cloister):
    return Images(cloister)


def root_entries():
    """Those of two layers, each name once."""
    return list({entry.name: entry for entry in [*base_entries(), *program_entries()]}.values())


def root_tar(entries=None):
    return tars.tar(root_entries() if entries is None else entries)


def two_layers(config=None):
    return make_image(small_layers()[:2], config or SHELL)


# --- images ---------------------------------------------------------------------------

def test_no_store_is_an_empty_list(images):
    assert images.ok("images").lines() == ["REPOSITORY   TAG   ID   CREATED   USED   SIZE   OWN"]
    assert images.list() == [] and images.ok("images", "-q").out == b"" and images.list("debian") == []
    images.call("rmi", "debian").refused("no image debian here; cloister images lists them")
    images.call("inspect", "--image", "debian").refused("no image debian here")
    assert images.ok("prune", "--images").lines() == ["nothing to remove"]
    assert not images.path.exists()


def test_images_are_listed_by_their_last_use(images):
    first = images.add("tests/first:1", small_image())
    second = images.add("tests/second", two_layers())
    os.utime(images.path / "launch" / second.partition(":")[2], (1_700_000_000,) * 2)
    assert [image["digest"] for image in images.list()] == [first, second]
    assert images.ok("images", "-q").lines() == [first[7:19], second[7:19]]
    assert images.ok("images", "-q", "--no-trunc").lines() == [first, second]
    table = images.ok("images").lines()
    assert re.match(rf"tests/first    1        {first[7:19]}   \d years ago   just now +", table[1]), table
    assert re.match(rf"tests/second   latest   {second[7:19]}   \d years ago   \d years ago   ", table[2]), table
    os.utime(images.path / "launch" / first.partition(":")[2], (1_600_000_000,) * 2)
    images.run("tests/second", "true").ok()  # a use
    assert [image["digest"] for image in images.list()] == [second, first]


def test_sizes_are_those_of_the_layers_and_true(images):
    """SIZE is what the trees take, OWN what goes with the image."""
    images.add("tests/whole", small_image())
    images.add("tests/two", two_layers())
    own = images.add("tests/own", make_image([make_layer([tars.file("a", b"x" * 100_000)])]))
    taken = {path: tree_bytes(path / "tree") for path in (images.path / "layers").iterdir()}
    sizes = {image["names"][0].split("/")[-1]: (image["size_bytes"], image["own_bytes"]) for image in images.list()}
    whole, two = sizes["whole:latest"], sizes["two:latest"]
    assert sum(taken.values()) == whole[0] + sizes["own:latest"][0]
    assert two[1] == 0 and 0 < whole[1] == whole[0] - two[0] and sizes["own:latest"][0] == sizes["own:latest"][1] > 100_000
    for word, size in (("tests/whole", whole[1]), ("tests/two", two[0]), (own[7:19], sizes["own:latest"][1])):
        before = sum(tree_bytes(path / "tree") for path in (images.path / "layers").iterdir())
        images.ok("rmi", word)
        assert before - sum(tree_bytes(path / "tree") for path in (images.path / "layers").iterdir()) == size
    images.whole()


def tree_bytes(tree):
    """What the tree takes, hard links once."""
    seen = {}
    for path in [tree, *tree.rglob("*")]:
        found = path.lstat()
        seen[found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


@pytest.mark.parametrize("word,count", [("debian", 2), ("debian:12", 1), ("library/debian", 2), ("docker.io/library/debian", 2), ("debian:13", 0),
                                        ("other", 0), ("quay.io/some/other", 1), ("quay.io/some/other:latest", 1)])
def test_a_name_leaves_what_it_means(images, word, count):
    images.add("debian:12", small_image())
    images.add("debian:bookworm", two_layers())
    images.add("quay.io/some/other", make_image([make_layer([])]))
    assert len(images.list(word)) == count and len(images.ok("images", word).lines()) == count + 1


def test_options_behind_the_name_count(images):
    """rmi's -f most of all: as another name it was tried, and told, after the image was gone or kept."""
    digest = images.add("a/b:1", two_layers())
    images.add("a/b:2", two_layers())
    assert images.ok("images", "a/b", "-q").lines() == [digest[7:19]]
    images.call("rmi", digest).refused("has 2 names")
    assert images.ok("rmi", digest, "-f").lines()[-1] == f"Deleted: {digest}"


def test_a_moved_name_leaves_an_image_without_one(images):
    first = images.add("tests/moved", small_image())
    second = images.add("tests/moved", two_layers())
    assert {image["digest"]: image["names"] for image in images.list()} == {first: [], second: ["docker.io/tests/moved:latest"]}
    assert any(line.startswith("<none>        <none>   ") for line in images.ok("images").lines())
    assert images.ok("prune", "--images").lines()[0].startswith("Removed 1 image, 1 layer, ")
    assert [image["digest"] for image in images.list()] == [second]


@pytest.mark.parametrize("words,said", [
    (["images", "a", "b"], 'images takes one name, got also "b"'), (["images", "UPPER"], "lower case"), (["images", "--format", "yaml"], "table or json"),
    (["images", "--filter", "dangling=true"], "--filter: not built yet"), (["rmi"], "rmi: no image named; see cloister images"),
    (["rmi", "sha256:12"], "expected sha256: and 6 to 64 digits"), (["rmi", "--no-prune", "a"], "--no-prune: there is no choice"),
    (["import"], "import: no file named"), (["import", "a", "b", "c"], 'got also "c"'), (["import", "-m", "x", "a"], "--message: there is none"),
    (["inspect", "--image"], "no image named; see cloister images"), (["prune", "--volumes"], "--volumes: there are none"),
    (["load"], "load: say cloister import docker-archive:FILE"), (["tag", "a", "b"], "tag: there is none"), (["image", "ls"], "as in cloister images"),
    (["pull"], "pull: no image named"), (["pull", "-a", "x"], "--all-tags: not built yet"), (["pull", "docker://debian"], "named without docker://"),
    (["pull", "--platform", "windows/amd64", "x"], "expected linux/ARCHITECTURE")])
def test_wrong_words(images, words, said):
    images.call(*words).refused(re.escape(said))


# --- inspect --------------------------------------------------------------------------

def test_inspect_has_the_config_as_run_applies_it(images):
    config = {"Cmd": ["-c", "true"], "Entrypoint": ["/bin/sh"], "Env": ["PATH=/bin", "A=b=c"], "User": "app:staff", "WorkingDir": "/srv/app",
              "StopSignal": "SIGQUIT", "Labels": {"org.example.a": "b", "empty": ""}}
    image = make_image(small_layers(), config)
    digest = images.add("tests/all:1", image)
    found = images.one("tests/all:1")
    assert found["config"] == {"entrypoint": ["/bin/sh"], "command": ["-c", "true"], "env": ["PATH=/bin", "A=b=c"], "workdir": "/srv/app",
                               "user": "app:staff", "uid": 1234, "gid": 50, "home": "/home/app", "stop_signal": "SIGQUIT", "labels": {"org.example.a": "b", "empty": ""}}
    assert found["digest"] == digest == image.digest and found["config_digest"] == sha256(image.config)
    assert found["names"] == ["docker.io/tests/all:1"] and found["platform"] == "linux/amd64" and found["media_type"] == image.media_type
    assert [layer["diff_id"] for layer in found["layers"]] == [layer.diff_id for layer in image.layers]
    assert [(layer["digest"], layer["size_bytes"]) for layer in found["layers"]] == [(layer.blob.digest, layer.blob.size) for layer in image.layers]
    assert sum(layer["disk_bytes"] for layer in found["layers"]) == found["size_bytes"] == found["own_bytes"]
    assert all(layer["entries"] > 0 for layer in found["layers"])


@pytest.mark.parametrize("name", ["named:1", None])
def test_run_by_digest(images, name):
    """As `images` shows it, with or without a name; nobody is asked for it."""
    digest = images.add(name, small_image())
    for word in (digest, digest[7:], digest[7:19], f"sha256:{digest[7:15]}"):
        assert images.run(word, "cat", "/etc/first").ok().result["digest"] == digest
    images.run("0123456789ab", "true", opts=["--pull", "never"]).refused("isn't here")
    images.run(f"sha256:{'0' * 64}", "true").refused("repository")


def test_inspect_by_every_word(images):
    digest = images.add("debian:12", small_image())
    other = images.add(None, two_layers())
    words = ["debian:12", "docker.io/library/debian:12", digest, digest[7:], digest[7:13], f"sha256:{digest[7:20]}", f"debian@{digest}",
             f"debian:12@{digest}"]
    assert [found["digest"] for found in json.loads(images.ok("inspect", "--image", *words).out)] == [digest] * len(words)
    assert images.one(other[7:19])["names"] == []
    for word in ("debian", f"debian@{other}", f"debian:11@{digest}", digest[7:12], "0" * 12):
        outcome = images.call("inspect", "--image", "debian:12", word)
        assert outcome.exit == 125 and outcome.out == b"" and b"no image " in outcome.err, str(outcome)
    images.call("inspect", "--image", "debain:12").refused("did you mean debian:12")
    images.call("inspect", "debian:12").refused("say cloister inspect --image debian:12")


# --- rmi ------------------------------------------------------------------------------

def test_rmi_takes_names_first(images):
    digest = images.add("tests/a:1", small_image())
    images.add("tests/b:2", small_image())
    assert images.ok("rmi", "tests/a:1").lines() == ["Untagged: tests/a:1"]
    assert images.ok("rmi", "tests/b:2").lines() == ["Untagged: tests/b:2", f"Deleted: {digest}"]
    assert images.files("layers", "chains", "images", "launch", "names", "refs", "blobs/sha256") == []
    images.whole()


def test_rmi_by_digest_wants_force_for_several_names(images):
    digest = images.add("tests/a:1", small_image())
    images.add("tests/b:2", small_image())
    images.call("rmi", digest[7:19]).refused("has 2 names", "tests/a:1, tests/b:2", "all with -f")
    assert len(images.names()) == 2
    assert images.ok("rmi", "-f", digest).lines() == ["Untagged: tests/a:1", "Untagged: tests/b:2", f"Deleted: {digest}"]
    images.whole()


def test_rmi_tries_all(images):
    digest = images.add("tests/a:1", small_image())
    outcome = images.call("rmi", "no-such", "tests/a:1", "neither")
    assert outcome.exit == 125 and outcome.lines() == ["Untagged: tests/a:1", f"Deleted: {digest}"]
    assert text(outcome.err) == "cloister: no image no-such here; cloister images lists them\n"


def test_an_image_in_use_stays(images, nothing_left):
    digest = images.add("tests/used:1", small_image())
    images.add("tests/used:2", small_image())
    with images.start("tests/used:1", "sleep", "60", opts=["--name", "user-of-it"]) as running:
        poll(lambda: images.cloister.call("ps", "-q").out, 20, "no sandbox")
        assert images.ok("rmi", "tests/used:1").lines() == ["Untagged: tests/used:1"]  # there is another
        images.call("rmi", "tests/used:2").refused("tests/used:2 is in use by the sandbox user-of-it: end it first, or take the name away with -f")
        images.call("rmi", digest).refused("in use by the sandbox user-of-it")
        assert images.ok("prune", "--all").lines() == ["1 image is in use, and stays"]
        outcome = images.ok("rmi", "-f", "tests/used:2")
        assert outcome.lines() == ["Untagged: tests/used:2"] and b"its layers stay until that ends" in outcome.err
        images.call("rmi", "-f", digest).refused("in use by the sandbox user-of-it")
        assert images.ok("prune", "--images").lines() == ["1 image is in use, and stays"]
        assert [image["names"] for image in images.list()] == [[]]
        assert running.process.poll() is None
    images.cloister.call("prune")
    assert images.ok("prune", "--images").lines()[0].startswith("Removed 1 image, 3 layers, ")
    images.whole()


# --- prune ----------------------------------------------------------------------------

def test_prune_removes_what_nobody_needs(images):
    images.add("tests/named", small_image())
    images.add(None, two_layers({"Cmd": ["x"]}))
    images.add(None, make_image([make_layer([tars.file("a", b"x" * 300_000)])]))
    (images.path / "downloads" / ("5" * 64)).write_bytes(b"x" * 4096)
    assert images.ok("prune").lines() == ["nothing to remove"]
    assert len(images.list()) == 3
    removed = json.loads(images.ok("prune", "--images", "--format", "json").out)
    assert {key: removed[key] for key in ("sandboxes", "images", "images_in_use", "layers", "leftovers")} == {
        "sandboxes": [], "images": 2, "images_in_use": 0, "layers": 1, "leftovers": 1}
    assert removed["freed_bytes"] > 300_000
    assert images.names() == ["tests/named:latest"]
    images.run("tests/named", "true").ok()
    assert images.ok("prune", "-a").lines()[0].startswith("Removed 1 image, 3 layers, ")
    assert images.list() == []
    images.whole()


def test_prune_removes_what_a_killed_import_left(images):
    """And leaves what another is at alone."""
    entries = [tars.file(f"f{n}", os.urandom(1 << 20)) for n in range(64)]
    archive = images.write("big.tar", tars.tar(entries))
    with subprocess.Popen([os.fspath(word) for word in images.cloister.argv("import", archive, "tests/killed")], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=images.cloister.environment(images.env), cwd="/") as process:
        poll(lambda: (images.path / "work").exists() and images.files("work"), 30, "nothing was unpacked")
        process.kill()
    removed = json.loads(images.ok("prune", "--images", "--format", "json").out)
    assert removed["leftovers"] in (0, 1) and removed["images"] == 0  # the next command may have been quicker
    assert images.files("work", "trash", "layers", "downloads") == []
    images.ok("import", archive, "tests/killed")
    images.whole()


def test_a_budget_is_kept_to(as_user):
    images = Images(as_user)
    config = images.place / "config/cloister"
    config.mkdir(parents=True)
    (config / "registries.yaml").write_text("store: {budget: 300KiB}\n")
    digests = [images.add(f"tests/image:{n}", make_image([make_layer([tars.file(f"file{n}", os.urandom(100_000))])])) for n in range(2)]
    os.utime(images.path / "launch" / digests[0][7:], (1_700_000_000,) * 2)
    outcome = images.ok("import", f"oci:{layout_of(images, [tars.file('x', os.urandom(150_000))])}", "tests/image:2")
    assert b"cloister: removed 1 image to keep the store within 300KiB: tests/image:0\n" in outcome.err
    assert images.names() == ["tests/image:2", "tests/image:1"] or sorted(images.names()) == ["tests/image:1", "tests/image:2"]
    (config / "registries.yaml").write_text("store: {budget: 1KiB}\n")
    outcome = images.ok("import", f"oci:{layout_of(images, [tars.file('y', os.urandom(50_000))])}", "tests/large")
    assert re.search("removed 2 images to keep the store within 1KiB: tests/image:[12], tests/image:[12]\n"
                     "cloister: the store takes 5[0-9].[0-9] KiB, more than its budget of 1KiB: tests/large:latest alone takes 5", text(outcome.err))
    assert images.names() == ["tests/large:latest"]  # the one that was pulled stays, whatever it takes
    images.whole()


def layout_of(images, entries):
    return layouts.write_oci_directory(images.place / "a-layout", {None: make_image([make_layer(entries)], SHELL)})


# --- import of a root file system -------------------------------------------------------

def test_what_a_budget_can_not_remove_is_told(as_user, rootfs):
    images = Images(as_user)
    config = images.place / "config/cloister"
    config.mkdir(parents=True)
    images.add("tests/used", two_layers())
    (config / "registries.yaml").write_text("store: {budget: 60KiB}\n")
    with images.start("tests/used", "sh", "-c", "echo ready; exec sleep 100") as running:
        running.expect(b"ready")
        outcome = images.ok("import", f"oci:{layout_of(images, [tars.file('x', os.urandom(5_000))])}", "tests/small")
        assert re.search("store takes .*, more than its budget of 60KiB: 1 image is in use\n", text(outcome.err)) and "removed" not in text(outcome.err)
        (config / "registries.yaml").write_text("{}\n")
        for number in range(4):
            images.add(f"tests/n:{number}", make_image([make_layer([tars.file(f"n{number}", os.urandom(5_000))])]))
        (config / "registries.yaml").write_text("store: {budget: 1}\n")
        outcome = images.ok("import", f"oci:{layout_of(images, [tars.file('y', os.urandom(5_000))])}", "tests/n:9")
        assert re.search(r"removed 5 images to keep the store within 1 byte: (tests/\w+:\w+, ){2}tests/\w+:\w+ and 2 more\n"
                         r"cloister: the store takes .*, more than its budget of 1 byte: tests/n:9 alone takes [0-9.]+ KiB, and 1 image is in use\n", text(outcome.err))
        assert sorted(images.names()) == ["tests/n:9", "tests/used:latest"]
    running.wait(20)


@pytest.mark.parametrize("pack", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("how", ["file", "input"])
def test_a_tar_archive_becomes_an_image(images, pack, how):
    data = root_tar()
    packed = {"plain": lambda: data, "gzip": lambda: gzip.compress(data),
              "zstd": lambda: subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout}[pack]()
    archive = images.write("root.tar", packed)
    if how == "file":
        outcome = images.ok("import", archive, "my/root")
    else:
        outcome = images.ok("import", "-", "my/root", input=packed)
    (found,) = images.list()
    assert outcome.word() == found["digest"] and found["names"] == ["docker.io/my/root:latest"]
    assert b"my/root:latest: ready after " in outcome.err
    (layer,) = images.one("my/root")["layers"]
    assert layer["diff_id"] == sha256(data) and layer["digest"] == sha256(packed) and layer["size_bytes"] == len(packed)
    assert images.run("my/root", "/bin/cat", "/etc/first").ok().out == b"layer 1\n"
    images.whole()
    assert images.ok("import", "-q", archive, "my/again").word() == found["digest"] or how == "input"  # its date is the file's


def test_input_that_is_a_file_and_one_that_is_a_pipe_are_one(images):
    archive = images.write("root.tar", root_tar())
    with open(archive, "rb") as opened:
        images.ok("import", "-", "my/file", stdin=opened)
    images.ok("import", "-", "my/pipe", input=root_tar())
    file, pipe = images.one("my/file"), images.one("my/pipe")
    assert file["layers"] == pipe["layers"] and images.files("downloads") == []


def test_changes_are_the_images_config(images):
    archive = images.write("root.tar", root_tar())
    images.ok("import", "-c", 'CMD ["-c", "echo $A $(pwd) $(id -u)"]', "--change", "ENTRYPOINT [\"/bin/sh\"]", "-c", 'ENV A="b c" D=e', "-c", "USER app",
              "-c", "WORKDIR /srv", "-c", "STOPSIGNAL 3", archive, "my/changed")
    assert images.one("my/changed")["config"] == {"entrypoint": ["/bin/sh"], "command": ["-c", "echo $A $(pwd) $(id -u)"], "env": ["A=b c", "D=e"],
                                                 "workdir": "/srv", "user": "app", "uid": 1234, "gid": 1234, "home": "/home/app", "stop_signal": "SIGQUIT", "labels": {}}
    assert images.run("my/changed").ok().out == b"b c /srv 1234\n"


@pytest.mark.parametrize("change,said", [("EXPOSE 80", "--change: expected CMD, ENTRYPOINT, ENV, USER, WORKDIR or STOPSIGNAL"), ("CMD [sh]", "CMD: "),
                                         ("ENV A", "NAME=VALUE"), ("WORKDIR srv", "WORKDIR: "), ("STOPSIGNAL x", "STOPSIGNAL: ")])
def test_wrong_changes(images, change, said):
    images.call("import", "-c", change, "/no/such/file").refused(re.escape(said))
    assert not images.path.exists()


def broken_archives():
    data = root_tar()
    packed = gzip.compress(data)
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xff
    return {"cut": (data[:-100_000], None), "cut-gzip": (packed[:-1000], None), "damaged": (bytes(damaged), None), "text": (b"hello, world\n" * 1000, None),
            "empty": (b"", "it is empty"), "xz": (b"\xfd7zXZ\0" + bytes(100), "compressed by xz: xz -dc FILE"), "bzip2": (b"BZh9" + bytes(100), "bzip2 -dc FILE"),
            "leads-out": (tars.tar([tars.file("../../x", b"x")]), "x"), "zstd-of-nothing": (b"\x28\xb5\x2f\xfd", None)}


@pytest.mark.parametrize("how", ["file", "input"])
@pytest.mark.parametrize("kind", broken_archives())
def test_broken_archives_are_refused_by_name(images, kind, how):
    data, said = broken_archives()[kind]
    archive = images.write("broken.tar", data)
    outcome = images.call("import", "-q", archive if how == "file" else "-", "my/broken", input=data if how == "input" else None)
    outcome.refused(re.escape(str(archive)) if how == "file" else "standard input", *([re.escape(said)] if said else []))
    assert images.list() == [] and images.files("layers", "names", "refs", "downloads") == []
    images.ok("prune", "--images")
    images.whole()


def test_wrong_sources(images, world):
    images.call("import", "/no/such/file").refused("/no/such/file")
    images.call("import", "", "x").refused("the file's name is empty")
    images.call("import", "/usr").refused("/usr: not a regular file", "rootfs:DIR")
    images.call("import", "/dev/zero").refused("/dev/zero: not a regular file")
    images.call("import", "https://example.org/x.tar").refused("fetch it first")
    images.call("import", f"oci:{world.directory('empty')}").refused("index.json")
    images.call("import", "-c", "CMD x", "oci:/usr").refused("--change: the image has a config of its own")
    archive = images.write("root.tar", root_tar())
    images.call("import", archive, "Upper").refused("lower case")
    images.call("import", archive, "my/root@" + "sha256:" + "5" * 64).refused("has a digest of its own")
    images.call("import", archive, "x", "--quiet", "y").refused('got also "y"')
    images.call("import", "--max-size", "10k", "-", input=bytes(20_000)).refused("more than 10KiB; --max-size raises the limit")
    images.whole()
    assert images.list() == []


def test_names_that_run_takes_for_something_else_are_refused(images):
    archive = images.write("root.tar", root_tar())
    for name, said in [("host", 'host" is no image\'s name: cloister run shows this machine'), ("host:1", "host, without a tag, is the view of this machine"),
                       ("rootfs:/x", "takes the directory as it is"), ("a/x.wasm", "WebAssembly module"), ("oci:x", "where an image lies"),
                       ("docker-daemon:x", "there is no transport docker-daemon")]:
        images.call("import", "-q", archive, name).refused(said)
        if name != "oci:x":
            images.call("pull", "-q", name).refused(said)
    images.run("host:1", "true").refused("host, without a tag, is the view of this machine")
    assert images.list() == []


@pytest.mark.parametrize("image,said", [
    ("dir:/tmp", "no transport dir; .*oci:DIR.*rootfs:DIR"), ("docker-daemon:foo", "no transport docker-daemon; .*docker save -o FILE NAME, then docker-archive:FILE"),
    ("containers-storage:foo", "no transport containers-storage; .*podman save"), ("quux:/tmp", "no transport quux; those there are: oci:DIR")])
def test_transports_that_there_are_not(images, image, said):
    images.call("pull", image).refused(said)
    images.run(image, "true").refused(said)


def test_a_login_is_for_a_registry(images):
    images.call("login", "-u", "x", "localhost:5000/repo").refused('a path follows the host; say "localhost:5000" alone')


def test_standard_input_at_a_terminal_is_refused(images):
    with Terminal() as terminal:
        terminal.launch(images.cloister.argv("import", "-"), images.cloister.environment(images.env))
        outcome = terminal.wait()
    assert outcome.exit == 125 and b"standard input is a terminal; give it an archive" in bytes(terminal.seen)


def test_bounds_hold_for_archives_too(images):
    archive = images.write("root.tar", root_tar([tars.file("zeros", tars.Zeros(3 << 20))]))
    images.call("import", "-q", "--max-size", "1m", archive).refused(re.escape(str(archive)))
    archive = images.write("many.tar", root_tar([tars.file(f"f{n}") for n in range(100)]))
    images.call("import", "-q", "--max-files", "50", archive).refused(re.escape(str(archive)))
    images.ok("import", "-q", "--max-files", "200", archive)


def test_what_is_unpacked_is_what_tar_unpacks(images):
    """Modes, owners, links and times of the whole tree, in the sandbox."""
    archive = images.write("root.tar", root_tar())
    images.ok("import", "-q", archive, "my/root")
    said = images.run("my/root", "/bin/sh", "-c", "find / -xdev ! -path '/proc*' ! -path '/dev*' ! -path '/sys*' | sort | "
                      "xargs stat -c '%n %A %u %g %Y %s'", opts=["--profile", "build"]).ok().lines()
    seen = {line.split()[0]: line.split()[1:] for line in said}
    with tarfile.open(fileobj=io.BytesIO(root_tar())) as opened:
        for entry in opened.getmembers():
            if entry.isfile() or entry.issym():
                mode, uid, gid, when, size = seen[f"/{entry.name}"]
                assert (int(uid), int(gid), int(when)) == (entry.uid, entry.gid, int(entry.mtime)), entry.name
                assert mode[1:] == tarfile.stat.filemode(entry.mode)[1:] and (entry.issym() or int(size) == entry.size)


# --- import of what others saved --------------------------------------------------------

def test_an_archive_of_docker_gives_all_its_names(images):
    image = small_image()
    archive = layouts.write_docker_archive(images.place / "saved.tar", {"tests/tool:1": image}, manifest=None)
    entries = layouts.docker_entries({"tests/tool:1": image})
    several = images.place / "several.tar"
    manifest = json.dumps([{**json.loads(next(e.data for e in entries if e.name == "manifest.json"))[0],
                            "RepoTags": ["tests/tool:1", "debian:latest", "quay.io/a/b:c"]}]).encode()
    layouts.write_docker_archive(several, {"tests/tool:1": image}, manifest=manifest)
    images.ok("import", f"docker-archive:{archive}")
    assert images.names() == ["tests/tool:1"]
    images.ok("import", f"docker-archive:{several}")
    assert sorted(images.names()) == ["debian:latest", "quay.io/a/b:c", "tests/tool:1"]
    assert len(images.list()) == 1
    images.ok("import", f"docker-archive:{several}", "my/own:name")
    assert "my/own:name" in images.names() and len(images.list()) == 1
    with open(archive, "rb") as opened:
        images.ok("import", "docker-archive:-", "my/piped", stdin=opened)
    assert images.one("my/piped")["digest"] == images.one("tests/tool:1")["digest"]


@pytest.mark.parametrize("style", ["save", "oci"])
def test_of_several_saved_images_one_is_named(images, style):
    archive = layouts.write_docker_archive(images.place / "saved.tar", {"tests/a:1": small_image(), "tests/b:2": two_layers()}, style)
    images.call("import", f"docker-archive:{archive}").refused("images; name one")
    images.ok("import", f"docker-archive:{archive}:tests/b:2")
    assert images.names() == ["tests/b:2"]
    assert len(images.one("tests/b:2")["layers"]) == 2
    images.call("import", f"docker-archive:{archive}:tests/c:3").refused("tests/c:3")


def test_names_that_are_none_are_told(images):
    archive = layouts.write_docker_archive(images.place / "saved.tar", {"Tests/A:1": small_image()})
    images.call("import", f"docker-archive:{archive}").refused(re.escape(str(archive)), "Tests/A:1", "give it another after the archive's")
    images.ok("import", f"docker-archive:{archive}", "tests/a:1")
    assert images.names() == ["tests/a:1"]


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
@pytest.mark.parametrize("tag,named", [(None, []), ("latest", []), ("tests/x:1", []), ("docker.io/tests/x:1", ["tests/x:1"]), ("localhost/x:1", ["localhost/x:1"])])
def test_a_layout_gives_its_name_when_it_is_whole(images, kind, tag, named):
    write = layouts.write_oci_directory if kind == "oci" else layouts.write_oci_archive
    where = write(images.place / "layout", {tag: small_image()})
    digest = images.ok("import", f"{kind}:{where}").word()
    assert images.names() == named and digest == small_image().digest
    images.ok("rmi", "-f", digest)
    if tag is not None:
        assert images.ok("import", f"{kind}:{where}:{tag}").word() == digest
        images.call("import", f"{kind}:{where}:no-such").refused("no-such")
    assert images.ok("pull", f"{kind}:{where}").word() == digest and images.names() == named * (tag is not None)


def test_what_is_there_is_not_made_again(images):
    images.add("tests/two", two_layers())
    outcome = images.ok("import", f"oci:{layouts.write_oci_directory(images.place / 'whole', {None: small_image()})}", "tests/whole")
    assert text(outcome.err).count(": already here (") == 2 and text(outcome.err).count(": unpacking (") == 1
    outcome = images.ok("import", f"oci:{images.place / 'whole'}", "tests/again")
    assert text(outcome.err) == "tests/again:latest: named now; the image was here\n"
    outcome = images.ok("import", f"oci:{images.place / 'whole'}", "tests/again")
    assert text(outcome.err) == "tests/again:latest: up to date\n"
    outcome = images.ok("import", f"oci:{images.place / 'whole'}", "tests/two")
    assert text(outcome.err) == "tests/two:latest: named now, was another image's\n"


@pytest.mark.parametrize("data,said", [(bytes(10240), b"holds nothing: no file is in the archive\n"), (root_tar(), b"")], ids=["zeros", "root"])
def test_an_archive_that_holds_nothing_is_told(images, data, said):
    """By tar's own rule blocks of zeros are one."""
    archive = images.write("an.tar", data)
    for _ in range(2):
        err = images.ok("import", "-q", archive, "my/nothing").err
        assert err == (said and b"cloister: " + os.fsencode(archive) + b" " + said)


def test_a_platform_has_two_spellings(images):
    archive = images.write("root.tar", root_tar())
    for given, kept in [("linux/aarch64", "linux/arm64"), ("linux/x86_64", "linux/amd64"), ("linux/arm64/v8", "linux/arm64/v8")]:
        images.ok("import", "-q", "--platform", given, archive, "tests/root")
        assert images.one("tests/root")["platform"] == kept


def test_home_is_that_of_the_images_user(images):
    """Of its passwd file; but not for another user, and below what the image or the caller says."""
    layers = [*small_layers()[:2], make_layer([tars.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n"),
                                               tars.directory("home/app")])]
    def home(*words):
        return images.run(*words, "sh", "-c", "echo $HOME").ok().out.decode().strip()
    for name, config in {"app": {"User": "app"}, "number": {"User": "1234"}, "root": {}, "named": {"User": "app", "Env": ["PATH=/bin", "HOME=/srv"]}}.items():
        images.add(f"tests/{name}", make_image(layers, {**SHELL, **config}))
    assert images.one("tests/app")["config"]["home"] == "/home/app" and images.one("tests/root")["config"]["home"] is None
    assert (home("tests/app"), home("tests/number"), home("tests/root"), home("tests/named")) == ("/home/app", "/home/app", "/tmp", "/srv")

    def given(*options):
        return images.call("run", "--without", "limits", *options, "tests/app", "sh", "-c", "echo $HOME").ok().out.decode().strip()
    assert (given("-e", "HOME=/x"), given("-u", "77"), given("-u", "app:77")) == ("/x", "/tmp", "/home/app")


def test_a_run_says_nothing_where_nothing_had_to_be_done(images):
    image = f"oci:{layouts.write_oci_directory(images.place / 'whole', {None: two_layers()})}"
    assert b": ready" in images.run(image, "true").ok().err
    assert images.run(image, "true").ok().err == b""
    images.ok("import", "-q", image, "tests/whole")
    assert images.run(image, "true").ok().err == b"" and images.ok("pull", image).err != b""


@pytest.mark.skipif(not shutil.which("podman"), reason="needs podman")
def test_what_podman_saves(as_root, world):
    """Its own two formats, with the names that it gives."""
    images = Images(as_root)
    storage = Path(tempfile.mkdtemp(prefix="podman-", dir="/var/tmp"))  # a short path
    podman = ["podman", "--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]
    archive = images.write("root.tar", root_tar())
    command(*podman, "import", "-c", "CMD /bin/sh", archive, "localhost/tests/podman:1")
    try:
        for kind in ("docker-archive", "oci-archive"):
            saved = images.place / f"{kind}.tar"
            command(*podman, "save", "--format", kind, "-o", saved, "localhost/tests/podman:1")
            images.ok("import", f"{kind}:{saved}")
            assert images.names() == ["localhost/tests/podman:1"]
            assert images.run("localhost/tests/podman:1", "/bin/cat", "/etc/first").ok().out == b"layer 1\n"
            images.ok("rmi", "localhost/tests/podman:1")
    finally:
        command(*podman, "rmi", "-f", "localhost/tests/podman:1")
        shutil.rmtree(storage)


# --- progress ---------------------------------------------------------------------------

def big_layout(images):
    layers = [make_layer([tars.file(f"f{n}", os.urandom(6 << 20))]) for n in range(6)]
    return layouts.write_oci_directory(images.place / "big", {None: make_image(layers, SHELL)})


def test_events_are_a_line_of_json_each(images):
    outcome = images.ok("import", "--format", "json", f"oci:{big_layout(images)}", "tests/big")
    events = [json.loads(line) for line in outcome.lines()]
    layers = [event for event in events if event["event"] == "layer"]
    assert outcome.err == b"" and events[-1] == {"event": "image", "image": "tests/big:latest", "digest": images.list()[0]["digest"], "was_there": False}
    assert {event["image"] for event in layers} == {"tests/big:latest"}
    done = {event["layer"]: event for event in layers if event["state"] == "done"}
    assert len(done) == 6 and all(event["read_bytes"] == event["size_bytes"] for event in done.values())
    (end,) = [json.loads(line) for line in images.ok("pull", "--format", "json", f"oci:{images.place / 'big'}").lines()]
    assert end["was_there"] is True


@pytest.mark.parametrize("columns,rows,env", [(100, 40, {}), (40, 40, {}), (100, 5, {}), (100, 40, {"NO_COLOR": "1"}), (100, 40, {"TERM": "dumb"})],
                         ids=["wide", "narrow", "low", "no-colour", "dumb"])
def test_a_terminal_has_bars_that_fit(images, columns, rows, env):
    where = big_layout(images)
    with Terminal(rows, columns) as terminal:
        terminal.launch(images.cloister.argv("import", f"oci:{where}", "tests/big"),
                        images.cloister.environment({**images.env, "TERM": "vt100", **env}))
        assert terminal.wait().exit == 0
    seen = text(bytes(terminal.seen))
    assert re.search(r"\r\n(\033\[J)?tests/big:latest: ready after \d+\.\d s \(36\.\d MiB in 6 layers\)\r\n", seen), seen
    if env.get("TERM") == "dumb":
        assert "\033" not in seen and seen.count(": unpacking (6.0 MiB)\r\n") == 6
        return
    assert "\033[K\r\n" in seen and ("\033[36m" in seen) == ("NO_COLOR" not in env)
    bars = seen.partition("tests/big:latest: ready")[0]
    for line in re.sub(r"\033\[[0-9]*[mKAJ]", "", bars).replace("\r\n", "\n").replace("\r", "").split("\n"):
        assert len(line) < columns, line
    assert all(int(up) < rows for up in re.findall(r"\033\[(\d+)A", seen))
    if rows == 5:
        assert "6 of 6 layers are here" in seen
    else:
        assert seen.count("done") >= 6


def test_a_quiet_import_says_its_digest_alone(images):
    outcome = images.ok("import", "-q", f"oci:{big_layout(images)}")
    assert outcome.err == b"" and re.fullmatch(r"sha256:[0-9a-f]{64}", outcome.word())


# --- whatever fails ---------------------------------------------------------------------

@pytest.fixture(scope="module")
def weak(world):
    path = find_binary(world, "cloister-weak")
    assert path is not None, "build/bin/cloister-weak is missing: tools/build.sh weak"
    return path


class Weak:
    """Commands whose Nth system call fails."""

    def __init__(self, world, weak, identity):
        self.images = Images(Cloister(world, weak, identity))
        self.mark = self.images.cloister.directory("mark") / "mark"
        self.mark.write_bytes(bytes(4096))
        self.mark.chmod(0o666)

    def call(self, number, code, *words):
        with self.mark.open("r+b") as mark:
            mark.write(bytes(64))
        return self.images.call(*words, timeout=20, env={"CLOISTER_FAULT": f"self:syscall:{number}:{code}", "CLOISTER_FAULT_MARK": str(self.mark)})

    def struck(self):
        return self.mark.read_bytes()[0] != 0

    def walk(self, before, words, after, stride, first=1):
        """Each stride'th call of the command WORDS, until there is none; what failed."""
        failed, number = 0, first
        while True:
            before()
            outcome = self.call(number, errno.EIO, *words)
            if not self.struck():
                assert outcome.exit == 0, str(outcome)
                return failed
            failed += outcome.exit != 0
            assert outcome.exit in (0, 125), f"call {number}: {outcome}"
            line = text(outcome.err).splitlines()[-1:] if outcome.exit else [""]
            assert outcome.exit == 0 or re.fullmatch(r"cloister: .{10,}", line[0]), f"call {number}: {outcome}"
            after(outcome)
            number += stride


@pytest.mark.parametrize("first", [1, 2, 3])
@pytest.mark.parametrize("identity", ["root", "user"])
def test_each_call_of_an_import_fails(world, weak, identity, first):
    """What is left is a whole store, in which the next try does it."""
    walker = Weak(world, weak, identity)
    images = walker.images
    archive = images.write("small.tar", gzip.compress(root_tar([tars.directory("etc"), tars.file("etc/a", "a\n")])))

    def after(outcome):
        assert len(images.list()) <= 1
        if outcome.exit == 0:
            assert images.names() == ["tests/weak:latest"]
        images.ok("import", "-q", archive, "tests/weak")
        assert images.names() == ["tests/weak:latest"]
        images.ok("prune", "--all")
        assert images.files("layers", "launch", "images", "names", "refs", "chains", "work", "trash") == []

    assert walker.walk(lambda: None, ("import", "-q", archive, "tests/weak"), after, 9, first) > 10


@pytest.mark.parametrize("identity", ["root", "user"])
def test_each_call_of_a_removal_fails(world, weak, identity):
    walker = Weak(world, weak, identity)
    images = walker.images
    archive = images.write("small.tar", root_tar([tars.file("a", "a\n")]))

    def after(_):
        if images.names():
            images.ok("rmi", "tests/weak")
        images.ok("prune", "--images")
        assert images.files("layers", "launch", "images", "names", "refs", "chains", "work", "trash") == []

    assert walker.walk(lambda: images.ok("import", "-q", archive, "tests/weak"), ("rmi", "tests/weak"), after, 3) > 10


@pytest.mark.parametrize("call", ["openat", "write", "linkat", "renameat2", "mkdirat"])
def test_a_full_disk_is_named_with_its_cure(world, weak, call):
    walker = Weak(world, weak, "root")
    images = walker.images
    archive = images.write("small.tar", root_tar([tars.file("a", "a\n")]))
    images.ok("import", "-q", archive)
    images.ok("prune", "--all")
    number = syscall_numbers()[call]
    said = ""
    for nth in range(1, 60):
        outcome = images.call("import", "-q", archive, "tests/full", timeout=20,
                              env={"CLOISTER_FAULT": f"self:lacks:{number}#{nth}={errno.ENOSPC}", "CLOISTER_FAULT_MARK": str(walker.mark)})
        said += text(outcome.err)
        if outcome.exit == 0:
            break
        images.ok("prune", "--all")
    assert "No space left" in said, said
