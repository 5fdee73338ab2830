"""The state directory: full, read-only, missing, somebody else's."""

import os

import pytest

from lib.runner import Cloister, text
from lib.world import command


class Elsewhere(Cloister):
    """cloister with something else mounted on its state directory."""

    def __init__(self, like, mounting, afterwards=None):
        super().__init__(like.world, like.binary, like.identity, without=like.without)
        self.mounting, self.afterwards = mounting, afterwards

    def prefix(self):
        if not self.state().exists():
            self.state().mkdir(mode=0o700)
            os.chown(self.state(), self.uid, self.gid)
        then = f'"$@" && {self.afterwards}' if self.afterwards else 'exec "$@"'
        return ["unshare", "-m", "sh", "-c", f"{self.mounting} && {then}", "mount", *super().prefix()]


def on_state(like, options):
    """A tmpfs on the state directory, owned by who uses it."""
    return Elsewhere(like, f"mount -t tmpfs -o {options},uid={like.uid},gid={like.gid},mode=0700 state '{like.state()}'")


@pytest.fixture
def tidy(as_user):
    yield
    if as_user.state().is_dir() and not os.listdir(as_user.state()):
        as_user.state().rmdir()


@pytest.mark.parametrize("options", ["size=8k,nr_inodes=1", "size=8k,nr_inodes=2", "size=8k,nr_inodes=3", "size=4k", "ro"])
def test_a_state_directory_without_room(cloister, rootfs, options, nothing_left, tidy):
    outcome = on_state(cloister, options).run(rootfs, "echo", "ran", result=False, timeout=20)
    outcome.refused("state|sandbox", "Read-only file system" if options == "ro" else "No space left on device")
    nothing_left()


# the table, the directory bells and its first FIFO, and root's file of uid ranges
ENTRIES = {"root": 5, "user": 4}


def test_the_other_commands_with_a_read_only_state_directory(cloister, tidy):
    other = on_state(cloister, "ro")
    assert other.call("ps", "-q").ok().out == b""
    assert other.call("version").exit == 0


@pytest.mark.parametrize("size", [8, 12, 16, 52, 132])
def test_two_pages_and_a_few_entries_are_room_enough(cloister, rootfs, size, nothing_left):
    entries = ENTRIES[cloister.identity]
    assert on_state(cloister, f"size={size}k,nr_inodes={entries}").run(rootfs, "echo", "ran", result=False).ok().out == b"ran\n"
    on_state(cloister, f"size={size}k,nr_inodes={entries - 1}").run(rootfs, "echo", "ran", result=False).refused("No space left on device")


def planted(like, commands, afterwards=None):
    """COMMANDS of root in the directory, empty but for that, where the state directory would be made."""
    parent = like.state().parent
    return Elsewhere(like, f"mount -t tmpfs -o uid={like.uid},gid={like.gid},mode=0755 none {parent} && (cd {parent} && {commands})", afterwards)


def test_a_missing_state_directory_is_made_closed(cloister, rootfs):
    shown = f"stat -c '%a %u %F' {cloister.state()}"
    outcome = planted(cloister, "true", shown).run(rootfs, "echo", "ran", result=False).ok()
    assert outcome.lines() == ["ran", f"700 {cloister.uid} directory"]


def test_a_link_instead_of_the_state_directory(cloister, rootfs):
    target = cloister.directory("target", mode=0o700)
    planted(cloister, f"ln -s {target} cloister").run(rootfs, "true", result=False).refused(str(cloister.state()))
    assert os.listdir(target) == []


@pytest.mark.parametrize("mode,owner", [("0777", "own"), ("0700", "another")])
def test_a_state_directory_of_others_is_refused(cloister, as_root, as_user, rootfs, mode, owner):
    another = as_root if cloister is as_user else as_user
    whose = cloister.uid if owner == "own" else another.uid
    other = planted(cloister, f"mkdir cloister && chmod {mode} cloister && chown {whose} cloister")
    other.run(rootfs, "true", result=False).refused(str(cloister.state()), "open to others" if owner == "own" else f"belongs to uid {whose}")


def test_a_file_instead_of_the_state_directory(cloister, rootfs):
    planted(cloister, "touch cloister").run(rootfs, "true", result=False).refused(str(cloister.state()))


@pytest.fixture
def without_runtime_dir(as_user):
    """The ordinary user with no XDG_RUNTIME_DIR and an empty /tmp of his own: nothing of the machine's /tmp is touched."""
    class Plain(Cloister):
        planted = "true"
        variables = {"XDG_RUNTIME_DIR": None}

        def prefix(self):
            script = f'mount -t tmpfs -o mode=1777 none /tmp && cd /tmp && {self.planted} && exec "$@"'
            return ["unshare", "-m", "sh", "-c", script, "tmp", *super().prefix()]

        def environment(self, extra=None):
            return super().environment({**(extra or {}), **self.variables})

    return Plain(as_user.world, as_user.binary, "user")


def test_without_a_runtime_directory_it_is_below_tmp(without_runtime_dir, rootfs):
    assert without_runtime_dir.run(rootfs, "echo", "ran").ok().out == b"ran\n"


@pytest.mark.parametrize("planted", ["mkdir -m 777 cloister-{uid}", "mkdir -m 700 cloister-{uid}", "touch cloister-{uid}", "ln -s /var/tmp cloister-{uid}", "mkfifo -m 666 cloister-{uid}"])
def test_a_name_below_tmp_that_others_took_is_refused(without_runtime_dir, rootfs, planted, world):
    without_runtime_dir.planted = planted.format(uid=world.user.pw_uid)
    without_runtime_dir.run(rootfs, "true", result=False).refused(f"/tmp/cloister-{world.user.pw_uid}")


@pytest.mark.parametrize("value", ["/no/such/place", "/etc/passwd"])
def test_a_runtime_directory_that_is_none(as_user, rootfs, value):
    as_user.run(rootfs, "true", env={"XDG_RUNTIME_DIR": value}, result=False).refused(f"{value}/cloister", "XDG_RUNTIME_DIR must name a directory")


@pytest.mark.parametrize("value", ["", "relative"])
def test_a_runtime_directory_without_a_whole_path_counts_as_none(without_runtime_dir, rootfs, value):
    """As the XDG specification has it: a relative path is to be ignored."""
    without_runtime_dir.variables = {"XDG_RUNTIME_DIR": value}
    without_runtime_dir.planted = f"touch cloister-{without_runtime_dir.uid}"
    without_runtime_dir.run(rootfs, "true", result=False).refused(f"/tmp/cloister-{without_runtime_dir.uid}")
    without_runtime_dir.planted = "true"
    assert without_runtime_dir.run(rootfs, "echo", "ran").ok().out == b"ran\n"


def test_rubbish_in_the_state_directory_is_left_alone_or_swept(cloister, rootfs, nothing_left):
    cloister.run(rootfs, "true").ok()
    place = cloister.state()
    outside = cloister.world.directory("outside")
    (outside / "file").write_text("keep\n")
    (place / "strange").symlink_to(outside)
    (place / "plans").mkdir(exist_ok=True)
    (place / "plans" / "0123456789abcdef").symlink_to(outside / "file")
    (place / "bells").mkdir(exist_ok=True)
    (place / "bells" / "client-0123456789abcdef").symlink_to(outside)
    (place / "bells" / "0").unlink(missing_ok=True)
    (place / "bells" / "0").symlink_to(outside / "file")
    with open(place / "table", "r+b") as table:
        table.write(os.urandom(64) + bytes([0, 1, 2, 3, 255, *os.urandom(4027)]) + os.urandom(50000))
    try:
        assert cloister.call("ps", "-a", timeout=20).exit == 0
        assert cloister.run(rootfs, "echo", "ran", timeout=20).ok().out == b"ran\n"
        assert cloister.call("prune", timeout=20).exit == 0
        assert cloister.call("ps", "-a", "-q", timeout=20).ok().out == b""
        assert cloister.run(rootfs, "echo", "ran", timeout=20).ok().out == b"ran\n"
        assert (outside / "file").read_text() == "keep\n"
        assert cloister.call("inspect", "0123456789ab", timeout=20).refused("no sandbox")
        assert cloister.call("kill", "0123456789abcdef", timeout=20).refused("no sandbox")
    finally:
        command("find", place, "-mindepth", "1", "-delete")
