"""run --copy-in and --copy-out: files in before the command begins, and out when it has ended, whatever ends it."""

import contextlib
import os
import signal

import pytest

from lib.runner import alive, descendants, poll

MIB = 1 << 20
SLOW = ["--cpus", "0.01", "--disk", "500m", "-m", "1g"]  # what copies inside gets hardly any processor


@pytest.fixture
def place(cloister):
    return cloister.directory("place")


@pytest.fixture
def source(cloister, place):
    """A file, a directory and a link, of the caller's."""
    made = place / "source"
    made.mkdir()
    (made / "file").write_bytes(b"content\n")
    (made / "dir").mkdir(mode=0o700)
    (made / "dir" / "program").write_bytes(b"#!/bin/sh\necho ran\n")
    (made / "dir" / "program").chmod(0o755)
    (made / "link").symlink_to("dir/program")
    for path in [made, *made.rglob("*")]:
        os.chown(path, cloister.uid, cloister.gid, follow_symlinks=False)
    return made


@pytest.fixture
def large(cloister, place):
    made = place / "large"
    made.write_bytes(os.urandom(200 * MIB))
    os.chown(made, cloister.uid, cloister.gid)
    yield made
    made.unlink()


def test_in_and_out(cloister, rootfs, place, source):
    outcome = cloister.run(rootfs, "sh", "-c", "cat in/file && in/link && mkdir out && cp in/file out/copy && echo more >>out/copy && exit 3",
                           opts=["-w", "/tmp", "--copy-in", f"{source}:/tmp/in", "--copy-out", f"/tmp/out:{place}/out"])
    assert (outcome.exit, outcome.out, outcome.err) == (3, b"content\nran\n", b"")
    made = place / "out" / "copy"
    assert made.read_bytes() == b"content\nmore\n" and made.stat().st_uid == cloister.uid
    assert outcome.result["status"] == "exited" and outcome.result["exit_code"] == 3


def test_several_and_the_entries_of_one(cloister, rootfs, place, source):
    outcome = cloister.run(rootfs, "sh", "-c", "ls /tmp; ls /tmp/here", opts=[
        "--copy-in", f"{source}/file:/tmp/one", "--copy-in", f"{source}/.:/tmp/here", "--copy-out", f"/tmp/one:{place}/first", "--copy-out", f"/tmp/here/dir:{place}"])
    assert outcome.ok().lines() == ["here", "one", "dir", "file", "link"]
    assert (place / "first").read_bytes() == b"content\n" and (place / "dir" / "program").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("opts", [[], ["--profile", "build"], ["-t"], ["-i"]], ids=["strict", "build", "terminal", "input"])
def test_with(cloister, rootfs, place, source, opts):
    outcome = cloister.run(rootfs, "sh", "-c", "cat /tmp/in/file >/tmp/out", opts=[*opts, "--copy-in", f"{source}:/tmp/in", "--copy-out", f"/tmp/out:{place}"])
    assert outcome.ok() and (place / "out").read_bytes() == b"content\n"


def test_detached(cloister, rootfs, place, source):
    outcome = cloister.detach(rootfs, "sh", "-c", "cat /tmp/in/file; echo made >/tmp/out; exit 5", opts=["--copy-in", f"{source}:/tmp/in", "--copy-out", f"/tmp/out:{place}/out"])
    identifier = outcome.ok().word()
    assert cloister.call("wait", identifier).ok().word() == "5"
    assert cloister.call("logs", identifier).ok().out == b"content\n" and (place / "out").read_bytes() == b"made\n"
    cloister.call("rm", identifier).ok()


def test_nothing_runs_when_the_copy_goes_out(cloister, rootfs, place, nothing_left):
    """What the command left behind is dead, and changes nothing any more."""
    outcome = cloister.run(rootfs, "sh", "-c", "(trap '' TERM HUP INT; while :; do echo x >>/tmp/out; done) & sleep 0.2", opts=["--copy-out", f"/tmp/out:{place}/out"])
    assert outcome.ok() and (place / "out").stat().st_size > 0
    nothing_left()


# -- what fails

def test_a_copy_in_that_fails_lets_nothing_begin(cloister, rootfs, place, nothing_left):
    outcome = cloister.run(rootfs, "sh", "-c", "echo ran", opts=["--copy-in", f"{place}/missing:/tmp/in"])
    assert (outcome.exit, outcome.out) == (125, b"") and outcome.err.decode() == f"cloister: copy-in: copy {place}/missing: No such file or directory\n"
    assert outcome.result["status"] == "error" and outcome.result["started_at"] is None
    nothing_left()


def test_a_place_that_cannot_be_written(cloister, rootfs, source):
    outcome = cloister.run(rootfs, "true", opts=["--copy-in", f"{source}:/bin/in"])
    assert outcome.exit == 125 and outcome.err == b"cloister: copy-in: make the directory /bin/in: Read-only file system\n", f"{outcome}"


def test_a_copy_out_that_fails_is_told(cloister, rootfs, place):
    outcome = cloister.run(rootfs, "echo", "ran", opts=["--copy-out", f"/tmp/missing:{place}"])
    assert (outcome.exit, outcome.out) == (125, b"ran\n") and outcome.err == b"cloister: copy-out: copy /tmp/missing: No such file or directory\n"


def test_what_is_left_out_is_said(cloister, rootfs, place):
    outcome = cloister.run(rootfs, "sh", "-c", "mkdir /tmp/d; mkfifo /tmp/d/fifo; ln -s /etc/passwd /tmp/d/link; echo 1 >/tmp/d/file", opts=["--copy-out", f"/tmp/d:{place}/d"])
    assert outcome.exit == 0 and sorted(outcome.err.decode().splitlines()) == [
        f"cloister: left out {place}/d/fifo: it is no file, directory or link", f"cloister: left out {place}/d/link: the link leads out of what is copied"]
    assert os.listdir(place / "d") == ["file"]


@pytest.mark.parametrize("value", ["", "/a", "/a:", ":/a", "/a:/b:/c"])
@pytest.mark.parametrize("option", ["--copy-in", "--copy-out"])
def test_values_that_are_none(cloister, rootfs, option, value):
    outcome = cloister.run(rootfs, "true", opts=[option, value])
    assert outcome.exit == 125 and f"cloister: {option}: expected SRC:DST, got \"{value}\"\n" == outcome.err.decode()


def test_paths_inside_are_absolute(cloister, rootfs, source):
    for option, value in [("--copy-in", f"{source}:in"), ("--copy-out", "out:/tmp")]:
        outcome = cloister.run(rootfs, "true", opts=[option, value])
        assert outcome.exit == 125 and b"must be absolute" in outcome.err


# -- what ends it

def test_the_end_of_the_time_does_not_wait_for_a_copy_in(cloister, rootfs, large, nothing_left):
    outcome = cloister.run(rootfs, "echo", "ran", opts=[*SLOW, "--timeout", "1s", "--stop-grace", "0", "--copy-in", f"{large}:/tmp/in"])
    if "limits" in cloister.without:  # all of the processor
        return
    assert (outcome.exit, outcome.out, outcome.result["status"]) == (124, b"", "timeout"), f"{outcome}"
    nothing_left()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_files_come_in(cloister, rootfs, large, signal_number, nothing_left):
    """It ends a command that is yet to begin, as it would any other."""
    if "limits" in cloister.without:
        return
    with cloister.start(rootfs, "echo", "ran", opts=[*SLOW, "--copy-in", f"{large}:/tmp/in"]) as running:
        poll(lambda: len(descendants(running.pid)) >= 3, 20, "nobody copies")
        os.kill(running.pid, signal_number)
        outcome = running.wait(20)
    assert outcome.exit == 128 + signal_number and outcome.out == b"", f"{outcome}"
    nothing_left()


@pytest.mark.parametrize("step", ["in", "out"])
def test_a_killed_supervisor_leaves_nobody(cloister, rootfs, large, place, step, nothing_left):
    if "limits" in cloister.without:
        return
    opts = ["--copy-in", f"{large}:/tmp/in"] if step == "in" else ["--copy-out", f"/tmp/large:{place}/out"]
    with cloister.start(rootfs, "head", "-c", "209715200", "/dev/zero", opts=[*(SLOW if step == "in" else ["--disk", "500m", "-m", "1g"]), *opts],
                        stdout=open(os.devnull, "wb")) as running:
        least = 4 if step == "in" else 2  # init and who has copies made; in, who copies and a porter
        poll(lambda: len(descendants(running.pid)) >= least, 20, "nothing runs")
        pids = descendants(running.pid)
        os.kill(running.pid, signal.SIGKILL)
        running.wait(10)
    poll(lambda: not any(map(alive, pids)), 10, "somebody lives on")
    nothing_left(prune=True)


@pytest.mark.parametrize("which", [0, 1], ids=["who-has-copies-made", "who-copies"])
def test_who_copies_is_killed(cloister, rootfs, large, which, nothing_left):
    if "limits" in cloister.without:
        return
    with cloister.start(rootfs, "echo", "ran", opts=[*SLOW, "--copy-in", f"{large}:/tmp/in"]) as running:
        def ours():
            """The supervisor's child beside init, and its child: those have the caller's root directory."""
            found = []
            for pid in descendants(running.pid):
                with contextlib.suppress(FileNotFoundError):  # it has ended
                    found += [pid] if os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt") else []
            return found
        pids = poll(lambda: len(ours()) == 2 and ours(), 20, "nobody copies")
        os.kill(pids[which], signal.SIGKILL)
        outcome = running.wait(20)
    assert (outcome.exit, outcome.out) == (125, b"") and outcome.err == b"cloister: copy-in: the process that copies files was ended\n", f"{outcome}"
    nothing_left()
