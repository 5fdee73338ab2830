"""rootfs trees that an attacker has made: links, FIFOs, devices, and changes while we mount."""

import ctypes
import os
import shutil
import stat
import threading

import pytest

from lib.patience import patience
from lib.runner import text
from lib.trees import snapshot

# where something is mounted or made that a run can't be without: a link there is refused
NEEDED = {"proc": "/proc", "dev": "/dev", "tmp": "/tmp", "mine": "/mine"}
DESTINATIONS = ["proc", "dev", "dev/shm", "dev/null", "dev/pts", "sys", "tmp", "var/tmp", "var", "etc", "etc/passwd", "etc/group", "etc/hosts",
                "etc/hostname", "etc/resolv.conf", "srv", "srv/work", "mine"]


@pytest.fixture
def canary(world):
    """A directory of the host that nothing may write to or show."""
    path = world.directory("canary", mode=0o777)
    for name in ("passwd", "group", "shm", "null", "secret", "work", "tmp"):
        (path / name).write_text("canary\n")
        (path / name).chmod(0o666)
    return path


def replace(path, target):
    """Put a link where something was."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        path.rename(path.with_name(path.name + ".before"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def fine_or_refused(outcome):
    """In a race: the run worked, or was refused with one line; or the tree no longer holds the command."""
    assert outcome.exit in (0, 125, 126, 127), str(outcome)
    if outcome.exit:
        assert text(outcome.err).startswith("cloister: ") and outcome.err.count(b"\n") == 1, str(outcome)
    return outcome


@pytest.mark.parametrize("destination", DESTINATIONS)
@pytest.mark.parametrize("kind", ["absolute", "relative", "file", "loop", "dangling", "procfs"])
def test_a_link_at_a_mount_destination(cloister, own_rootfs, canary, destination, kind, nothing_left):
    place = own_rootfs.path / destination
    up = "/".join([".."] * 30)
    replace(place, {"absolute": str(canary), "relative": up + str(canary), "file": str(canary / "secret"), "loop": place.name,
                    "dangling": str(canary / "not-there"), "procfs": "/proc/1/root" + str(canary)}[kind])
    before, tree = snapshot(canary), own_rootfs.snapshot()
    script = ("find / -xdev -name secret 2>/dev/null; cat /proc/self/mountinfo /etc/passwd /etc/hosts /mine/given 2>/dev/null; "
              "echo x >/tmp/mark; echo x >/var/tmp/mark; echo x >/dev/shm/mark; true")
    outcome = cloister.run(own_rootfs, "/bin/busybox", "sh", "-c", script, timeout=30,
                           opts=["-v", f"{own_rootfs.path}/srv.before:/mine" if destination == "srv" else f"{own_rootfs.path}/home:/mine"])
    if destination in NEEDED:
        outcome.refused(NEEDED[destination], "symbolic link")
        if destination in ("tmp", "mine"):  # of /proc and /dev no link is looked at
            where = "in a circle, or through one of /proc's own" if kind in ("loop", "procfs") else "nowhere in the image"
            outcome.refused(f"/{destination} in the image is, or lies behind, a symbolic link that leads {where}; remove the link")
    else:
        outcome.ok()
    assert b"canary" not in outcome.out.replace(os.fsencode(canary.name), b""), str(outcome)
    assert snapshot(canary) == before
    assert own_rootfs.snapshot() == tree


@pytest.mark.parametrize("flags", [["-w", "/srv/link"], ["-w", "/srv/link/deeper"], ["--tmpfs", "/srv/link"], ["--tmpfs", "/srv/link/deeper"],
                                   ["-v", "{home}:/srv/link"], ["-v", "{home}:/srv/link/deeper"], ["-v", "{home}:/srv/link:copy"],
                                   ["--mount", "type=tmpfs,dst=/srv/link"]], ids=" ".join)
@pytest.mark.parametrize("kind", ["absolute", "relative", "inside"])
def test_a_link_at_a_place_that_was_asked_for(cloister, own_rootfs, canary, flags, kind):
    up = "/".join([".."] * 30)
    target = {"absolute": str(canary), "relative": up + str(canary), "inside": "/srv/work"}[kind]
    (own_rootfs.path / "srv/link").symlink_to(target)
    before = snapshot(canary)
    opts = [f.format(home=own_rootfs.path / "home") for f in flags]
    outcome = cloister.run(own_rootfs, "sh", "-c", "cat secret /srv/link/secret 2>/dev/null; echo x >mark; echo x >/srv/link/mark; true", opts=opts)
    if kind == "inside":
        assert outcome.ok().out == b""
    else:
        outcome.refused("/srv/link", "symbolic link")
    assert snapshot(canary) == before
    assert not (own_rootfs.path / "srv/work/mark").exists()


def test_a_workdir_through_a_link_is_the_one_inside(cloister, own_rootfs):
    (own_rootfs.path / "link").symlink_to("/srv/open")
    outcome = cloister.run(own_rootfs, "sh", "-c", "pwd -P; cat given; echo x >new && cat new", opts=["-w", "/link"]).ok()
    assert outcome.lines() == ["/srv/open", "given", "x"]
    assert not (own_rootfs.path / "srv/open/new").exists()


@pytest.mark.parametrize("name", ["etc/passwd", "etc/group", "etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/null", "tmp", "proc", "etc", "srv/open"])
@pytest.mark.parametrize("kind", ["fifo", "null", "zero", "block", "socket", "directory", "large"])
def test_something_else_where_a_file_is_expected(cloister, own_rootfs, name, kind, nothing_left):
    path = own_rootfs.path / name
    if path.is_dir():
        path.rename(path.with_name("before"))
    elif path.exists():
        path.unlink()
    if kind == "fifo":
        os.mkfifo(path, 0o666)
    elif kind in ("null", "zero"):
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3 if kind == "null" else 5))
    elif kind == "block":
        os.mknod(path, stat.S_IFBLK | 0o666, os.makedev(7, 200))
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o666)
    elif kind == "directory":
        path.mkdir()
    else:
        path.write_bytes(b"")
        os.truncate(path, 1 << 33)
    for opts in ([], ["-u", "1234:1235"], ["--profile", "build"], ["-w", "/srv/open"]):
        outcome = cloister.run(own_rootfs, "/bin/busybox", "true", opts=opts, timeout=15)
        if kind != "directory" and (name in ("tmp", "proc") or name == "srv/open" and "-w" in opts):
            outcome.refused(f"/{name} in the image is not a directory")
        else:
            assert outcome.ok().err == b""
        assert outcome.seconds < patience(10)


@pytest.mark.parametrize("content", [b"", b"\n" * 100, b"root:x:0:0\n", b"plain:x:-1:-1:::\n", b"plain:x:99999999999999999999:1:::\n", b"plain" * 100_000, b"\0" * 1000,
                                     b"plain:x:0:0:::\n", b"\xff\xfe:x:1:1:::\n", b"plain:x:1000:1000:" + b"x" * 200_000 + b":/:\n"], ids=range(10))
def test_a_strange_passwd(cloister, own_rootfs, content):
    (own_rootfs.path / "etc/passwd").write_bytes(content)
    assert cloister.run(own_rootfs, "id", "-u").ok().word() == "1000"
    outcome = cloister.run(own_rootfs, "id", "-u", opts=["-u", "plain"])
    if content.startswith((b"plain:x:0:", b"plain:x:1000:")):
        assert outcome.ok().word() == "1000", str(outcome)  # never 0
    else:
        outcome.refused('no user "plain" in the image')


def test_a_device_of_the_tree_is_no_device_inside(cloister, own_rootfs):
    os.mknod(own_rootfs.path / "srv/open/zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    (own_rootfs.path / "srv/open/zero").chmod(0o666)
    for opts in ([], ["--profile", "build"], ["-w", "/srv/open"]):
        outcome = cloister.run(own_rootfs, "sh", "-c", "head -c 1 /srv/open/zero | wc -c", opts=opts).ok()
        assert outcome.word() == "0", str(outcome)


def test_a_setuid_program_of_the_tree_gives_nothing(cloister, own_rootfs):
    path = own_rootfs.path / "bin/suid"
    path.write_bytes((own_rootfs.path / "bin/probe").read_bytes())
    path.chmod(0o6755)
    outcome = cloister.run(own_rootfs, "sh", "-c", "/bin/suid wait & until [ \"$(cat /proc/$!/comm)\" = suid ]; do :; done; grep -h '^[UG]id' /proc/$!/status").ok()
    ids = {word for line in outcome.lines() if line[1:3] == "id" for word in line.split()[1:]}
    assert ids == {"1000"}, str(outcome)


@pytest.mark.parametrize("place,what", [("mine", "volume"), ("srv/open", "workdir"), ("tmp", "scratch"), ("etc", "etc"), ("proc", "proc")])
def test_a_tree_that_changes_while_we_mount(cloister, own_rootfs, canary, place, what, nothing_left):
    path = own_rootfs.path / place
    aside, link = path.with_name("aside"), path.with_name("a-link")
    path.mkdir(exist_ok=True)
    link.symlink_to(canary)
    stop = threading.Event()
    turns = 0

    def swap():
        nonlocal turns
        while not stop.is_set():
            os.rename(path, aside)
            os.rename(link, path)
            os.rename(path, link)
            os.rename(aside, path)
            turns += 1

    before = snapshot(canary)
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        opts = {"volume": ["-v", f"{own_rootfs.path}/home:/mine"], "workdir": ["-w", "/srv/open"]}.get(what, [])
        seen = [fine_or_refused(cloister.run(own_rootfs, "/bin/busybox", "sh", "-c", f"cat /{place}/secret 2>/dev/null; echo x >/{place}/mark; true",
                                             opts=opts, result=False, timeout=20)) for _ in range(25)]
    finally:
        stop.set()
        swapper.join(20)
    assert turns > 25
    assert all(b"canary" not in outcome.out for outcome in seen)
    assert snapshot(canary) == before


def test_a_tree_that_disappears(cloister, own_rootfs, nothing_left):
    with cloister.start(own_rootfs, "probe", "trap", "0") as running:
        running.expect(b"ready")
        shutil.rmtree(own_rootfs.path)
        running.signal(15)
        running.wait(20).ok()
    nothing_left()


def test_a_very_deep_workdir(cloister, own_rootfs):
    path = own_rootfs.path
    for _ in range(200):
        path = path / "d"
    path.mkdir(parents=True)
    inside = "/" + str(path.relative_to(own_rootfs.path))
    assert cloister.run(own_rootfs, "pwd", opts=["-w", inside]).ok().word() == inside


def exchange_until(ended, one, other):
    libc = ctypes.CDLL(None)
    while not ended.is_set():
        libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)  # RENAME_EXCHANGE
        ended.wait(0.0001)


def test_a_swapped_dev_shows_no_file_of_the_host(cloister, own_rootfs, world):
    """CVE-2025-31133: what masks /proc is taken from our own /dev, whatever the tree does with its name."""
    secret = world.directory("secret", owner=cloister.identity) / "file"
    secret.write_text("of the caller only\n")
    secret.chmod(0o600)
    os.chown(secret, cloister.uid, cloister.gid)
    false = own_rootfs.path / "dev-2"
    false.mkdir()
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (false / name).symlink_to(secret)
    for name in ("pts", "shm"):
        (false / name).mkdir()
    ended = threading.Event()
    swapper = threading.Thread(target=exchange_until, args=(ended, own_rootfs.path / "dev", false), daemon=True)
    swapper.start()
    try:
        for _ in range(80):
            outcome = fine_or_refused(cloister.run(own_rootfs, "/bin/busybox", "sh", "-c",
                                                   "cat /proc/keys /proc/key-users /proc/interrupts /proc/kallsyms /proc/timer_list"))
            assert b"of the caller only" not in outcome.out, str(outcome)
    finally:
        ended.set()
        swapper.join()
