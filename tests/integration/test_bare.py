"""Root's sandboxes of an image start from a mount namespace in which nothing of the host is (bare.c)."""

import errno
import fcntl
import os
import subprocess

import pytest

from lib.faults import syscall_numbers
from lib.runner import Cloister
from lib.world import KEEPER, command, find_binary, mountinfo


def kept():
    return [line for line in mountinfo().splitlines() if f" {KEEPER}/mnt-1 " in line]


@pytest.fixture
def lost(world, bare, as_root, rootfs):
    """It is gone, as after a boot; at the end it is there again."""
    command("umount", bare)
    yield
    with world.on_one_processor():
        as_root.run(rootfs, "true").ok()
    assert len(kept()) == 1


def test_it_is_made_once(as_root, rootfs, bare):
    before = os.stat(bare).st_ino
    for _ in range(3):
        as_root.run(rootfs, "true").ok()
    assert os.stat(bare).st_ino == before and len(kept()) == 1


def test_first_starts_at_once_make_one(world, as_root, rootfs, lost):
    with world.on_one_processor():
        running = [as_root.start(rootfs, "echo", "whole") for _ in range(8)]
    for run in running:
        assert run.wait().ok().lines() == ["whole"]
    assert len(kept()) == 1


@pytest.mark.parametrize("image", ["rootfs", "host"])
@pytest.mark.parametrize("volume", ["/run", "/"])
def test_a_volume_that_it_lies_in_leaves_it_out(as_root, request, bare, image, volume):
    """Its copy could be mounted in no younger namespace, and so the whole volume could not."""
    if image == "rootfs":
        image = request.getfixturevalue("rootfs")
    mark = bare.parent.parent / f"mark-{os.getpid()}"
    show = f"cat /h{'' if volume == '/run' else '/run'}/{mark.name}; grep -c {bare.name} /proc/self/mountinfo"
    mark.write_text("seen\n")
    try:
        outcome = as_root.run(image, "sh", "-c", show, opts=["-v", f"{volume}:/h"])
    finally:
        mark.unlink()
    assert outcome.lines() == ["seen", "0"], str(outcome)


def test_a_namespace_that_another_keeps_is_hinted_at(as_root, rootfs, world):
    """As unshare --mount=FILE does."""
    held = world.directory("held")
    kept_there = held / "ns"
    kept_there.touch()
    command("mount", "--bind", "--make-private", held, held)
    with world.on_one_processor():  # where the younger namespace has the higher number
        holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; read -r end"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert holder.stdout.readline() == b"\n"
            command("mount", "--bind", f"/proc/{holder.pid}/ns/mnt", kept_there)
            as_root.run(rootfs, "true", opts=["-v", f"{held}:/h"]).refused("volumes: attach a mount at /h: .*; a mount namespace is kept below it")
            command("umount", kept_there)
            as_root.run(rootfs, "true", opts=["-v", f"{held}:/h"]).ok()
        finally:
            holder.communicate(b"\n", timeout=10)
            command("umount", "-R", held)


@pytest.mark.parametrize("mode", ["0755", "0700"])
@pytest.mark.parametrize("place", ["directory", "link", "file"])
def test_what_stands_in_its_place_is_not_trusted(as_root, rootfs, world, bare, place, mode):
    """A start that can't have one does without: init's namespace is a copy of the host's."""
    elsewhere = world.directory("elsewhere", mode=int(mode, 8))
    if place == "directory":
        command("mount", "--bind", "--make-private", elsewhere, KEEPER)
    else:
        command("mount", "-t", "tmpfs", "-o", f"mode={mode}", "state", KEEPER)
        command("mount", "--make-private", KEEPER)
    if place == "link":
        bare.symlink_to(elsewhere / bare.name)
    elif place == "file":
        bare.write_text("")
    try:
        with world.on_one_processor():
            assert as_root.run(rootfs, "echo", "whole").ok().lines() == ["whole"]
        assert len(kept()) == 1 + (mode == "0700" and place != "link")
        assert place == "directory" or not list(elsewhere.iterdir())
    finally:
        subprocess.run(["umount", bare], capture_output=True, check=False)  # where one was made
        command("umount", KEEPER)
    assert len(kept()) == 1


def place_of(pid):
    links = ["cwd", "root", "ns/mnt"]
    return [os.readlink(f"/proc/{pid}/{link}") for link in links]


def test_the_supervisor_is_where_it_was(as_root, rootfs, world, bare):
    here = world.directory("here")
    with as_root.start(rootfs, "sh", "-c", "echo ready; cat", opts=["-i"], cwd=here) as running:
        running.expect(b"ready")
        assert place_of(running.pid) == [str(here), "/", os.readlink("/proc/self/ns/mnt")]
        running.close_stdin()
        running.wait().ok()


def test_a_start_in_a_chroot_makes_none(as_root, rootfs, world, lost):
    """It would hold all of the host below the chroot's mount. And the kernel makes no user namespace for who is in a chroot."""
    jail = world.directory("jail")
    script = 'mount --rbind / "$1" && cd "$1" && shift && chroot . "$@"; code=$?; grep -c " [^ ]*/cloister-bare/mnt-1 " /proc/self/mountinfo; exit $code'
    argv = ["unshare", "-m", "sh", "-c", script, "sh", jail, as_root.binary, "run", f"rootfs:{rootfs.path}", "echo", "whole"]
    with world.on_one_processor():
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (125, "0\n") and "chroot" in ran.stderr, ran


@pytest.fixture
def faulty(world):
    return Cloister(world, find_binary(world, "cloister-weak"), "root")


@pytest.mark.parametrize("whose,call,needle", [
    ("", "chroot", "return from the bare mount namespace"),
    ("children:", "chroot", "enter the root: chroot"),
])
def test_what_the_kernel_refuses_is_named(faulty, rootfs, bare, nothing_left, whose, call, needle):
    fault = f"{whose}lacks:{syscall_numbers()[call]}={errno.EPERM}"
    faulty.run(rootfs, "true", env={"CLOISTER_FAULT": fault}).refused(needle, "not permitted")


def test_who_can_not_go_into_it_does_without(as_root, rootfs, bare, nothing_left):
    """setns(2) wants CAP_SYS_CHROOT, which a service's root may lack."""
    argv = ["setpriv", "--bounding-set=-sys_chroot", "--inh-caps=-sys_chroot", *as_root.argv("run", rootfs, "echo", "whole")]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "whole\n", "")


def test_nobody_waits_for_a_start_that_makes_one(as_root, rootfs, lost):
    """It may be stopped in the middle of that."""
    held = os.open(KEEPER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert as_root.run(rootfs, "echo", "whole", timeout=10).ok().lines() == ["whole"]
        assert not kept()
    finally:
        os.close(held)


@pytest.mark.parametrize("call,at", [("clone", 1), ("setns", 1), ("mount", 1), ("pivot_root", 1), ("flock", 1), ("setns", 2)])
def test_where_it_can_not_be_made_a_start_does_without(faulty, rootfs, world, lost, call, at):
    """One call each: what the helper makes is refused, or to go into it, and the same for the sandbox isn't."""
    fault = f"lacks:{syscall_numbers()[call]}#{at}={errno.EPERM}"
    with world.on_one_processor():
        assert faulty.run(rootfs, "echo", "whole", env={"CLOISTER_FAULT": fault}).ok().lines() == ["whole"]
    assert len(kept()) == (at == 2)
