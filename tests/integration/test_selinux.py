"""SELinux: the sandbox's context, on a host that enforces it and has the modules of packaging/selinux."""

import os
import re
from pathlib import Path

import pytest

CONTEXT = re.compile(r"system_u:system_r:container_t(:s0:c(\d+),c(\d+))\0?")
OWN = "/proc/self/attr/current"


def enforces():
    try:
        return Path("/sys/fs/selinux/enforce").read_text().startswith("1")
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not enforces(), reason="the host doesn't enforce SELinux")


def label(path, kind, level=":s0"):
    os.setxattr(path, "security.selinux", f"system_u:object_r:{kind}{level}\0".encode())


@pytest.fixture
def volume(world):
    """Files that everybody may read, each with a label of its own."""
    directory = world.directory("labelled", mode=0o755)
    for name, kind, level in (("ours", "container_file_t", ":s0"), ("anothers", "container_file_t", ":s0:c1,c2"),
                              ("shadow", "shadow_t", ":s0"), ("home", "user_home_t", ":s0")):
        (directory / name).write_text(name)
        (directory / name).chmod(0o644)
        label(directory / name, kind, level)
    label(directory, "container_file_t")
    return directory


def level_of(text):
    found = CONTEXT.fullmatch(text)
    assert found and int(found[2]) < int(found[3]) < 1024, text
    return found[1]


def test_command_has_the_context(cloister):
    level_of(cloister.run("host", "cat", OWN).ok().word())


def test_two_sandboxes_have_categories_of_their_own(as_root):
    assert len({level_of(as_root.run("host", "cat", OWN).ok().word()) for _ in range(6)}) == 6


def test_scratch_has_the_sandboxs_level(cloister):
    script = f"cat {OWN}; echo; touch /tmp/x; stat -c %C / /tmp /tmp/x /tmp/size /tmp/plain /dev/shm /dev/pts"
    opts = ["--tmpfs", "/tmp/size:size=1m", "--tmpfs", "/tmp/plain", "--shm-size", "1m"]
    first, *labels = cloister.run("host", "sh", "-c", script, opts=opts).ok().lines()
    assert set(labels) == {"system_u:object_r:container_file_t" + level_of(first)} and len(labels) == 7


def test_copy_on_write_has_the_sandboxs_level(as_root):
    script = f"cat {OWN}; echo; touch new; stat -c %C new"
    first, new = as_root.run("host", "sh", "-c", script, opts=["-w", "/usr/share"]).ok().lines()
    assert new == "system_u:object_r:container_file_t" + level_of(first)


@pytest.mark.parametrize("mode", ["ro", "copy"])
def test_files_of_the_host_are_closed_by_their_labels(as_root, volume, mode):
    opts = ["-v", f"{volume}:/v:{mode}"]
    assert as_root.run("host", "cat", "/v/ours", opts=opts).ok().out == b"ours"
    for name in ("anothers", "shadow", "home"):
        outcome = as_root.run("host", "cat", f"/v/{name}", opts=opts)
        assert outcome.exit == 1 and b"Permission denied" in outcome.err, str(outcome)


def test_without_the_layer_the_same_files_are_open(as_root, volume):
    names = ["ours", "anothers", "shadow", "home"]
    opts = ["--without", "selinux", "-v", f"{volume}:/v"]
    assert as_root.run("host", "cat", *(f"/v/{n}" for n in names), opts=opts).ok().word() == "".join(names)


def test_what_one_sandbox_writes_the_next_may_read(as_root, world):
    directory = world.directory("shared", mode=0o755)
    os.chown(directory, 1234, 1234)
    label(directory, "container_file_t")
    opts = ["-v", f"{directory}:/v:rw"]
    as_root.run("host", "sh", "-c", "mkdir /v/d && echo one > /v/d/f", opts=opts).ok()
    assert as_root.run("host", "sh", "-c", "echo two >> /v/d/f && cat /v/d/f", opts=opts).ok().out == b"one\ntwo\n"


def test_command_cannot_change_its_context(cloister):
    script = f"printf system_u:system_r:unconfined_t:s0 > {OWN}; printf unconfined_u:unconfined_r:unconfined_t:s0 > /proc/self/attr/exec; cat {OWN}"
    level_of(cloister.run("host", "sh", "-c", script).word())


def test_image_without_labels_is_explained(as_root, world):
    image = world.directory("image", mode=0o755)
    for name in ("bin", "tmp", "proc", "dev"):
        (image / name).mkdir()
    program = image / "bin/busybox"
    program.write_bytes(Path("/bin/busybox").read_bytes())
    program.chmod(0o755)
    label(program, "user_home_t")
    argv = (f"rootfs:{image}", "/bin/busybox", "cat", OWN)
    outcome = as_root.run(*argv)
    assert outcome.exit == 126 and b"container_file_t" in outcome.err, str(outcome)
    for path in (image, *image.rglob("*")):
        label(path, "container_file_t")
    level_of(as_root.run(*argv).ok().word())
    level_of(as_root.run(*argv, opts=["--profile", "build"]).ok().word())


def test_layer_is_named_where_it_stands(as_root):
    for opts, stands in (([], True), (["--without", "selinux"], False)):
        outcome = as_root.run("host", "true", opts=opts).ok()
        assert ("selinux" in outcome.result["layers"]) == stands, str(outcome)


def test_terminal_belongs_to_the_sandbox(as_root):
    outcome = as_root.run("host", "sh", "-c", f"cat {OWN}; echo; stat -L -c %C /proc/self/fd/1", opts=["-t"]).ok()
    first, terminal = outcome.lines()
    assert terminal == "system_u:object_r:container_file_t" + level_of(first)


def test_doctor_knows_the_context(as_root):
    assert re.search(r"selinux +works +enforcing", as_root.call("doctor").out.decode())
