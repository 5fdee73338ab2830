"""Images of the store: several layers as one root file system, and what an image says about its run."""

import fcntl
import json
import os
import re
import shutil
import signal
import struct

import pytest

from lib import flat, trees
from lib.runner import poll, text
from lib.store import Store

EROFS, EACCES = 30, 13
F_OFD_SETLK = 37
APP = 77


class Images:
    """cloister as somebody with a store of their own."""

    def __init__(self, cloister, store, probe):
        self.cloister, self.store, self.probe = cloister, store, probe
        self.env = {"CLOISTER_STORE": str(store.path)}

    def run(self, image, *words, env=None, **options):
        return self.cloister.run(image, *words, env={**self.env, **(env or {})}, **options)

    def start(self, image, *words, **options):
        return self.cloister.start(image, *words, env=self.env, **options)

    def call(self, *words):
        return self.cloister.call(*words, env=self.env)

    def base(self, tree):
        trees.make_tree(tree, self.probe)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def lowest(store):
    def fill(tree):
        write(tree / "etc/hosts", "of the image\n")
        write(tree / "data/kept", "lowest\n")
        write(tree / "data/replaced", "lowest\n")
        write(tree / "data/removed", "lowest\n")
        write(tree / "data/dir/low", "lowest\n")
        write(tree / "data/opaque/low", "lowest\n")
        write(tree / "data/was-dir/file", "lowest\n")
        write(tree / "data/was-file", "lowest\n")
        write(tree / "data/one", "linked\n")
        os.link(tree / "data/one", tree / "data/two")
        (tree / "data/link").symlink_to("kept")
        write(tree / "data/of-app", "app's\n")
        store.own(tree / "data/of-app", APP, APP + 1)
        store.own(tree / "srv/open", APP, APP)
    return fill


def middle(tree):
    write(tree / "data/middle", "middle\n")
    write(tree / "data/replaced", "middle\n")
    write(tree / "data/dir/middle", "middle\n")


def highest(tree):
    write(tree / "data/replaced", "highest\n")
    write(tree / "data/opaque/high", "highest\n")
    Store.opaque(tree / "data/opaque")
    Store.whiteout(tree / "data/removed")
    write(tree / "data/was-dir", "a file\n")
    write(tree / "data/was-file/file", "a directory\n")


@pytest.fixture(scope="module")
def stores(world, probe, as_root, as_user):
    """A store of root's and one of the ordinary user's, with the same images."""
    made = {}
    for cloister in (as_root, as_user):
        store = Store(world.directory("store", owner=cloister.identity, mode=0o700), cloister.uid or 0, cloister.gid or 0)
        images = Images(cloister, store, probe)

        def base(tree, images=images, store=store):
            images.base(tree)
            lowest(store)(tree)

        layers = [store.layer(base), store.layer(middle), store.layer(highest)]
        store.add("three", layers, env=["PATH=/bin"])
        store.add("one", layers[:1], env=["PATH=/bin"])
        store.add("app", layers, env=["PATH=/bin", "FROM=image", "OVER=image"], entrypoint=["/bin/sh", "-c"],
                  command=["id -u; id -g; pwd; echo $FROM $OVER"], workdir="srv/work", user="app", uid=APP, gid=APP + 1,
                  stop_signal=int(signal.SIGUSR1))
        made[cloister.identity] = images
    before = {who: images.store.snapshot() for who, images in made.items()}
    yield made
    for who, images in made.items():
        changed = {p for p, _ in set(before[who].items()) ^ set(images.store.snapshot().items())}
        assert not changed, f"sandboxes changed the store's layers: {sorted(changed)}"


@pytest.fixture
def images(cloister, stores):
    return stores[cloister.identity]


@pytest.fixture
def own_store(cloister, world, probe):
    """One of the test's own."""
    store = Store(world.directory("own-store", owner=cloister.identity, mode=0o700), cloister.uid or 0, cloister.gid or 0)
    return Images(cloister, store, probe)


def errnos(outcome):
    return [int(number) for number in re.findall(r"errno (\d+)", text(outcome.ok().out))]


# --- the layers ---------------------------------------------------------------------------------


def test_layers_are_merged(images):
    outcome = images.run("three", "sh", "-c", "cd /data; ls . dir opaque; cat kept link replaced middle was-dir was-file/file")
    assert outcome.ok().lines() == [
        ".:", "dir", "kept", "link", "middle", "of-app", "one", "opaque", "replaced", "two", "was-dir", "was-file", "",
        "dir:", "low", "middle", "", "opaque:", "high",
        "lowest", "lowest", "highest", "middle", "a file", "a directory"]


def test_one_layer_alone(images):
    outcome = images.run("one", "sh", "-c", "cd /data; ls opaque; cat replaced removed; grep -c ' / overlay' /proc/mounts; ls -A /")
    assert outcome.exit == 0 and outcome.lines()[:4] == ["low", "lowest", "lowest", "0"], str(outcome)
    assert "layers" not in outcome.lines()


def test_hard_links_stay_links(images):
    outcome = images.run("three", "sh", "-c", "[ /data/one -ef /data/two ] && stat -c %h /data/one /bin/busybox")
    links = [int(line) for line in outcome.ok().lines()]
    assert links[0] == 2 and links[1] > 100


@pytest.mark.parametrize("opts", [[], ["--profile", "build"]], ids=" ".join)
def test_owners_are_the_images(images, opts):
    """But in an ordinary user's strict sandbox, which knows one id."""
    outcome = images.run("three", "stat", "-c", "%u:%g", "/data/of-app", "/data/kept", opts=opts)
    strict_user = images.cloister.identity == "user" and not opts
    assert outcome.ok().lines() == (["65534:65534", "1000:1000"] if strict_user else [f"{APP}:{APP + 1}", "0:0"])


def test_the_image_is_read_only(images):
    places = ["/new", "/data/new", "/data/kept", "/srv/open/new"]
    outcome = images.run("three", "sh", "-c", "; ".join(f"probe create {place}" for place in places))
    assert set(errnos(outcome)) <= {EROFS, EACCES} and len(errnos(outcome)) == 4
    assert errnos(images.run("three", "probe", "create", "/srv/open/given")) == [EROFS]
    assert images.run("three", "sh", "-c", "echo x >/tmp/f; echo x >/var/tmp/f; echo x >/dev/shm/f; cat /tmp/f").ok().out == b"x\n"


def needs_directories_to_go(cloister):
    """An ordinary user's scratch is on a tmpfs, which takes the attributes that hide a directory since Linux 6.6."""
    if cloister.identity == "user" and not trees.takes_user_attributes("/dev/shm"):
        pytest.skip("no user.* attributes on a tmpfs: an ordinary user can't remove directories of an image")


def test_the_working_directory_is_copy_on_write(images):
    needs_directories_to_go(images.cloister)
    outcome = images.run("three", "sh", "-c", "echo x >new && echo y >>kept && rm middle && rm -r dir && cat new kept && ls -d dir middle",
                         opts=["-w", "/data", "-u", "root"] if images.cloister.identity == "user" else ["-w", "/data", "--profile", "build"])
    assert outcome.lines()[:3] == ["x", "lowest", "y"] and outcome.exit != 0, str(outcome)
    again = images.run("three", "sh", "-c", "ls /data/dir; cat /data/kept")
    assert again.ok().lines() == ["low", "middle", "lowest"]


def test_a_strangers_working_directory_takes_new_files(images):
    """It belongs to the image's app, whom an ordinary user's strict sandbox doesn't know."""
    outcome = images.run("three", "sh", "-c", "echo x >new && mkdir dir && cat new && stat -c %u .", opts=["-w", "/srv/open"])
    assert outcome.ok().lines() == ["x", "1000"]


@pytest.mark.parametrize("opts", [["--writable", "-u", "77:78"], ["--profile", "build"]], ids=" ".join)
def test_the_whole_root_is_copy_on_write(images, opts):
    if images.cloister.identity == "user" and opts[0] == "--writable":
        opts = ["--writable"]
    place = "/" if opts[0] == "--profile" or images.cloister.identity == "user" else "/srv/open/"
    script = f"echo x >{place}new && mkdir {place}dir && cat {place}new; grep -c ' overlay ' /proc/mounts"
    assert images.run("three", "sh", "-c", script, opts=opts).ok().lines() == ["x", "1"]
    assert images.run("three", "ls", "/new", "/srv/open/new").exit != 0


def test_build_lays_out_files_of_several_owners(images):
    needs_directories_to_go(images.cloister)
    script = "rm /data/kept /bin/yes && echo x >>/data/of-app && chown 5:6 /data/of-app && stat -c %u:%g:%s /data/of-app && rm -r /data && mkdir /data"
    assert images.run("three", "sh", "-c", script, opts=["--profile", "build"]).ok().lines() == ["5:6:8"]


@pytest.mark.parametrize("opts", [[], ["--writable"]], ids=" ".join)
def test_mount_points_that_no_layer_has_are_made(own_store, world, opts):
    """As in images that hold a program and nothing else; and a mount point that a layer took away."""
    store = own_store.store
    source = world.directory("source")
    (source / "file").write_text("of the host\n")

    def program(tree):
        (tree / "bin").mkdir()
        shutil.copy(trees.BUSYBOX, tree / "bin/busybox")
        os.link(tree / "bin/busybox", tree / "bin/sh")
        for name in ("tmp", "etc"):
            (tree / name).mkdir()

    def without_tmp(tree):
        Store.whiteout(tree / "tmp")

    store.add("bare", [store.layer(program), store.layer(without_tmp)], env=["PATH=/bin"])
    outcome = own_store.run("bare", "sh", "-c", "busybox ls /; busybox cat /deep/er/file /etc/hostname; pwd; echo x >/tmp/new",
                            opts=[*opts, "-v", f"{source}:/deep/er", "-w", "/work/dir", "-h", "named"])
    assert outcome.ok().lines() == ["bin", "deep", "dev", "etc", "proc", "tmp", "work", "of the host", "named", "/work/dir"]


@pytest.mark.parametrize("profile", ["strict", "build"])
@pytest.mark.parametrize("count", [1, 2], ids=["one-layer", "two-layers"])
@pytest.mark.parametrize("etc", ["whole", "without-hosts", "missing", "link", "dangling"])
def test_localhost_is_found_in_any_image(own_store, profile, count, etc):
    """Most images from registries have no /etc/hosts; some have no /etc. One that is a link stays what it is."""
    def program(tree):
        (tree / "bin").mkdir()
        shutil.copy(trees.BUSYBOX, tree / "bin/busybox")
        for name in ("tmp", "proc", "dev", *(["etc"] if etc != "missing" else [])):
            (tree / name).mkdir()
        if etc in ("whole", "link"):
            write(tree / "etc/hosts", "10.9.9.9 image\n")
        if etc in ("link", "dangling"):
            (tree / "etc/hosts").rename(tree / "etc/other") if etc == "link" else None
            (tree / "etc/hosts").symlink_to("other")

    own_store.store.add("bare", [own_store.store.layer(fill) for fill in (program, middle)[:count]], env=["PATH=/bin"])
    outcome = own_store.run("bare", "busybox", "cat", "/etc/hosts", opts=["-h", "named", "--profile", profile])
    if etc == "dangling":
        assert outcome.exit == 1 and outcome.out == b"", str(outcome)
    else:
        assert outcome.ok().lines() == (["10.9.9.9 image"] if etc == "link" else ["127.0.0.1 localhost", "::1 localhost", "127.0.1.1 named"])
    if profile == "strict":
        assert own_store.run("bare", "busybox", "touch", "/etc/new").exit == 1


def test_a_lower_layers_etc_leads_nowhere(own_store, world):
    """It is a link to the host, whose files must not decide what the sandbox gets; a layer above has a directory in its place."""
    outside = world.directory("outside", owner="user")
    (outside / "hosts").write_text("of the host\n")

    def lowest(tree):
        (tree / "etc").symlink_to(outside)

    def program(tree):
        (tree / "bin").mkdir()
        shutil.copy(trees.BUSYBOX, tree / "bin/busybox")
        for name in ("tmp", "proc", "dev", "etc"):
            (tree / name).mkdir()

    own_store.store.add("bent", [own_store.store.layer(fill) for fill in (lowest, program)], env=["PATH=/bin"])
    assert own_store.run("bent", "busybox", "cat", "/etc/hosts", opts=["-h", "named"]).ok().lines()[0] == "127.0.0.1 localhost"


def test_volumes(images, world):
    source = world.directory("source", owner="user")
    (source / "file").write_text("of the host\n")
    os.chown(source / "file", world.user.pw_uid, world.user.pw_gid)
    opts = ["-v", f"{source}:/data/dir", "-v", f"{source}:/srv/new/copy:copy", "-v", f"{source}:/rw:rw", "--tmpfs", "/data/opaque"]
    script = "cat /data/dir/file; ls /data/opaque; echo x >/srv/new/copy/file; echo y >>/rw/file; echo z >/data/opaque/z; cat /srv/new/copy/file"
    assert images.run("three", "sh", "-c", script, opts=opts).ok().lines() == ["of the host", "x"]
    assert (source / "file").read_text() == "of the host\ny\n"


def test_the_most_layers_that_an_image_may_have(own_store):
    store = own_store.store

    def numbered(number):
        return lambda tree: write(tree / "many" / str(number), f"{number}\n")

    layers = [store.layer(own_store.base), *(store.layer(numbered(n), number=10 ** 18 + n) for n in range(126))]
    store.add("many", layers, env=["PATH=/bin"])
    assert own_store.run("many", "sh", "-c", "ls /many | wc -l; cat /many/0 /many/125").ok().lines() == ["126", "0", "125"]
    assert own_store.run("many", "sh", "-c", "echo x >new; cat new", opts=["-w", "/many"]).ok().lines() == ["x"]
    assert own_store.run("many", "true", opts=["--writable"]).ok()


def test_a_layer_that_is_missing(own_store):
    store = own_store.store
    layers = [store.layer(own_store.base), store.layer(middle)]
    store.add("two", layers, env=["PATH=/bin"])
    store.add("one", layers[:1], env=["PATH=/bin"])
    (store.path / "layers/1").rename(store.path / "layers/9")
    own_store.run("two", "true").refused("the 2 layers of two: .*; the store lacks a layer of it: cloister pull two")
    own_store.run("one", "true").refused("open the layer of one: .*; the store lacks it: cloister pull one")


def test_the_same_layers_of_the_wall_stand(images, rootfs):
    ours = images.run("three", "true").ok().result
    assert ours["layers"] == images.cloister.run(rootfs, "true").ok().result["layers"]


def test_nothing_of_the_store_is_inside(images):
    """Neither by a descriptor nor by a mount; the record stays the supervisor's."""
    outcome = images.run("three", "sh", "-c", "ls -l /proc/self/fd | grep -v pipe; cat /proc/self/mountinfo; ls /layers /root/layers")
    assert "refs" not in text(outcome.out) and str(images.store.path) not in text(outcome.out), str(outcome)


@pytest.fixture(scope="module")
def bases(world, probe, as_root, as_user):
    """Stores with a whole lowest layer, to be spoilt by layers above it."""
    made = {}
    for cloister in (as_root, as_user):
        store = Store(world.directory("bases", owner=cloister.identity, mode=0o700), cloister.uid or 0, cloister.gid or 0)
        images = Images(cloister, store, probe)
        made[cloister.identity] = images, store.layer(images.base)
    return made


@pytest.mark.parametrize("destination", ["proc", "dev", "dev/null", "sys", "tmp", "var/tmp", "var", "etc", "etc/passwd", "etc/hosts", "srv", "srv/work", "mine"])
@pytest.mark.parametrize("kind", ["absolute", "relative", "loop", "dangling", "fifo"])
def test_a_layer_bends_a_mount_destination(cloister, bases, world, destination, kind, nothing_left):
    """As in a tree (test_hostile_trees.py): refused or ours, and nothing of the host is seen or written."""
    images, base = bases[cloister.identity]
    canary = world.directory("canary", mode=0o777)
    for name in ("secret", "passwd", "hosts", "null", "work", "tmp"):
        write(canary / name, "canary\n")
        (canary / name).chmod(0o666)
    before = trees.snapshot(canary)

    def bend(tree):
        place = tree / destination
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "fifo":
            os.mkfifo(place, 0o666)
        else:
            place.symlink_to({"absolute": canary, "relative": "/".join([".."] * 30) + str(canary), "loop": place.name,
                              "dangling": canary / "not-there"}[kind])

    images.store.add("bent", [base, images.store.layer(bend)], env=["PATH=/bin"])
    script = ("find / -xdev -name secret 2>/dev/null; for f in /proc/self/mountinfo /etc/hosts /mine/given; do [ -f $f ] && cat $f; done; "
              "for d in /tmp /var/tmp /dev/shm .; do [ -d $d ] && echo x >$d/mark; done; true")
    outcome = images.run("bent", "/bin/busybox", "sh", "-c", script, timeout=30,
                         opts=["-v", f"{images.store.path}/layers/{base}/tree/srv:/mine", "-w", "/srv/open", "-u", "plain"])
    if outcome.exit:
        outcome.refused()
    assert b"canary" not in outcome.out.replace(os.fsencode(canary.name), b""), str(outcome)
    assert trees.snapshot(canary) == before


# --- what the image says --------------------------------------------------------------------------


def test_an_images_config(images):
    assert images.run("app").ok().lines() == [str(APP), str(APP + 1), "/srv/work", "image image"]
    outcome = images.run("app", "id -u; pwd; echo $FROM $OVER $HOME", opts=["-u", "5", "-w", "/data", "-e", "OVER=flag"])
    assert outcome.ok().lines() == ["5", "/data", "image flag /tmp"]
    assert images.run("app", opts=["--entrypoint", "/bin/pwd"]).ok().lines() == ["/srv/work"]
    assert images.run("app", "echo", "a", opts=["--entrypoint", ""]).ok().lines() == ["a"]
    images.run("app", opts=["--entrypoint", ""]).refused("no command: the image has no default; say one after --")
    images.run("three").refused("no command: the image has no default; say one after --")


def test_a_policy_lies_over_the_image(images):
    policy = images.cloister.directory() / "policy.yaml"
    policy.write_text("user: '5:6'\nworkdir: /data\nenv: {OVER: policy}\n")
    policy.chmod(0o644)
    assert images.run("app", opts=["--policy", policy]).ok().lines() == ["5", "6", "/data", "image policy"]


def test_users_by_name_are_of_all_layers(own_store):
    """The topmost passwd counts, and a link is followed in the image as it is merged."""
    store = own_store.store

    def replaced(tree):
        write(tree / "etc/group", "app:x:78:\n")
        (tree / "etc/passwd").symlink_to("/data/users")

    def led_to(tree):
        write(tree / "data/users", "app:x:77:78::/:/bin/sh\n")

    layers = [store.layer(own_store.base), store.layer(replaced), store.layer(led_to)]
    store.add("named", layers, env=["PATH=/bin"], user="app", command=["id", "-u"])
    assert own_store.run("named").ok().word() == "77"
    assert own_store.run("named", "sh", "-c", "id -u; id -g", opts=["-u", "app:app"]).ok().lines() == ["77", "78"]
    own_store.run("named", opts=["-u", "plain"]).refused('no user "plain" in the image')
    store.add("only-low", layers[:1], env=["PATH=/bin"])
    assert own_store.run("only-low", "id", "-u", opts=["-u", "other"]).ok().word() == "1234"


def test_strict_turns_the_images_root_into_1000(own_store):
    store = own_store.store
    store.add("rooted", [store.layer(own_store.base)], env=["PATH=/bin"], user="root", uid=0, gid=0, command=["id", "-u"])
    outcome = own_store.run("rooted").ok()
    assert outcome.word() == "1000" and b"strict profile never runs as root" in outcome.err
    assert own_store.run("rooted", opts=["--profile", "build"]).ok().word() == "0"


@pytest.mark.parametrize("opts,expected", [([], "USR1"), (["--stop-signal", "INT"], "INT"), (["--stop-signal", "15"], "TERM")], ids=str)
def test_the_time_limit_sends_the_stop_signal_first(images, opts, expected):
    script = "for s in USR1 INT TERM; do trap \"echo $s; exit 9\" $s; done; while :; do sleep 0.05; done"
    outcome = images.run("app", script, opts=[*opts, "--timeout", "1s"])
    outcome.ended("timeout", 124)
    assert outcome.word() == expected


def test_the_record_has_the_digest_and_the_name_as_it_was_written(images):
    outcome = images.run("docker.io/library/three:latest", "true").ok()
    digest = outcome.result["digest"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest) and outcome.result["image"] == "docker.io/library/three:latest"
    assert images.run("three", "true").ok().result["digest"] == digest
    assert images.run("host", "true").ok().result["digest"] is None
    with images.start("three", "probe", "wait", opts=["--name", "looked-at"]) as running:
        running.expect(b"ready")
        seen = json.loads(images.call("inspect", "looked-at").ok().out)
        seen = seen[0] if isinstance(seen, list) else seen
        assert seen["digest"] == digest and seen["image"] == "three" and seen["image_kind"] == "store"


# --- the store ------------------------------------------------------------------------------------


def test_an_image_that_is_not_here(images):
    for name in ("nothing", "three:other", "quay.io/library/three", "three@sha256:" + "0" * 64):
        images.run(name, "true", opts=["--pull", "never"]).refused(f'image: "{re.escape(name)}" isn\'t here; cloister pull {re.escape(name)}')
    images.run("Three", "true").refused('the image\'s name "Three"')


def test_without_a_store(cloister, world):
    """None is made."""
    place = world.directory("empty", owner=cloister.identity) / "store"
    cloister.run("three", "true", env={"CLOISTER_STORE": str(place)}, opts=["--pull", "never"]).refused("isn't here")
    assert not place.exists()
    cloister.run("three", "true", env={"CLOISTER_STORE": "relative"}).refused("CLOISTER_STORE must be an absolute path")


@pytest.mark.parametrize("pull", ["missing", "never", "always"])
def test_no_place_for_a_store(as_user, world, pull):
    """Nobody is asked for the image."""
    nowhere = {"HOME": None, "XDG_DATA_HOME": None}
    as_user.run("127.0.0.1:1/three", "true", env=nowhere, opts=["--pull", pull]).refused("there is no place for images: set HOME or XDG_DATA_HOME")
    link = world.directory("dangling", owner="user") / "store"
    link.symlink_to("nowhere")
    dangling = as_user.run("127.0.0.1:1/three", "true", env={"CLOISTER_STORE": str(link)}, opts=["--pull", pull])
    dangling.refused(re.escape(str(link)))


def test_where_a_users_store_is(as_user, world, probe):
    data = world.directory("data", owner="user")
    (data / "cloister").mkdir()
    os.chown(data / "cloister", as_user.uid, as_user.gid)
    store = Store(data / "cloister/images", as_user.uid, as_user.gid)
    store.add("here", [store.layer(lambda tree: trees.make_tree(tree, probe))], command=["/bin/true"])
    as_user.run("here", env={"XDG_DATA_HOME": str(data)}).ok()
    home = {"HOME": str(world.directory("home", owner="user")), "XDG_DATA_HOME": None}
    as_user.run("here", env=home, opts=["--pull", "never"]).refused("isn't here")
    shutil.move(data, f"{home['HOME']}/.local-share")
    os.mkdir(f"{home['HOME']}/.local")
    os.rename(f"{home['HOME']}/.local-share", f"{home['HOME']}/.local/share")
    as_user.run("here", env=home).ok()  # its layers were elsewhere when the record was written


def test_a_store_is_its_owners_alone(stores, as_root, as_user):
    as_root.run("three", "true", env=stores["user"].env).refused("store", "belongs to uid")
    as_user.run("three", "true", env=stores["root"].env).refused("store")


@pytest.mark.parametrize("damage", ["empty", "other", "cut", "files"])
def test_a_damaged_record(own_store, damage):
    store = own_store.store
    digest = store.add("broken", [store.layer(own_store.base)], command=["/bin/true"])
    whole = (store.path / "launch" / digest.partition(":")[2]).read_bytes()
    record = {"empty": b"", "other": b"\0" * 100, "cut": whole[:-8],
              "files": flat.plan(image_kind=2, image_path="/x", image_layers=["1"], digest=digest, without=1)}[damage]
    store.put("broken", record, digest)
    own_store.run("broken").refused("the store's refs/", "; cloister pull broken")


def try_lock(path):
    """True when nobody has the record, as who removes an image asks."""
    with open(path, "r+b") as record:
        try:
            fcntl.fcntl(record, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except BlockingIOError:
            return False
    return True


def test_a_running_sandbox_keeps_its_image(images):
    digest = images.run("three", "true").ok().result["digest"]
    record = images.store.path / "launch" / digest.partition(":")[2]
    assert try_lock(record)
    with images.start("three", "probe", "wait") as one:
        one.expect(b"ready")
        assert not try_lock(record)
        with images.start("three", "probe", "wait") as other:
            other.expect(b"ready")
            one.process.terminate()
            one.process.wait(20)
            assert not try_lock(record)
            other.process.kill()
            other.process.wait(20)
            poll(lambda: try_lock(record), 10, "the image is kept by a sandbox that is dead")


def test_use_is_noted(own_store):
    store = own_store.store
    digest = store.add("used", [store.layer(own_store.base)], command=["/bin/true"])
    record = store.path / "launch" / digest.partition(":")[2]
    os.utime(record, (1000, 1000))
    own_store.run("used").ok()
    assert record.stat().st_mtime > 10 ** 9


def test_a_closed_image_is_told(own_store):
    """Its root directory lets only its root in: root's strict sandbox is another."""
    store = own_store.store
    layer = store.layer(own_store.base)
    (store.path / "layers" / layer / "tree").chmod(0o700)
    store.add("closed", [layer], env=["PATH=/bin"])
    outcome = own_store.run("closed", "true")
    if own_store.cloister.identity == "root":
        assert outcome.exit != 0 and b"closed lets only root in" in outcome.err and b"--profile build" in outcome.err, str(outcome)
    else:
        outcome.ok()


def test_nothing_is_left(images, nothing_left):
    images.run("three", "true").ok()
    images.run("three", "true", opts=["-w", "/data"]).ok()
    images.run("three", "true", opts=["--writable"]).ok()
