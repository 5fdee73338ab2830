"""cp: files out of a sandbox that runs, and into it."""

import hashlib
import json
import os
import re
import signal
import stat
from pathlib import Path

import pytest

from lib.cp import Copies, failed, names, said
from lib.exec import sandbox
from lib.runner import alive, host_pid_of, poll, text

LOTS = 2000


@pytest.fixture
def room(cloister, rootfs):
    with sandbox(cloister, rootfs) as made:
        yield made


@pytest.fixture
def files(room):
    return Copies(room)


@pytest.fixture
def here(cloister):
    """A directory of the caller's on the host."""
    return cloister.directory("cp")


def made(cloister, path, content=b"content\n", mode=0o644):
    """A file of the caller's."""
    path.write_bytes(content)
    path.chmod(mode)
    os.chown(path, cloister.uid, cloister.gid)
    return path


def made_dir(cloister, path):
    path.mkdir()
    os.chown(path, cloister.uid, cloister.gid)
    return path


# --- out and in -----------------------------------------------------------------------------


def test_a_file_comes_out(room, files, here, cloister):
    room.shell("echo of the sandbox >/tmp/f; chmod 640 /tmp/f; touch -d @1000000000 /tmp/f").ok()
    outcome = files.out("/tmp/f", here).ok()
    assert outcome.out == outcome.err == b"", str(outcome)
    seen = (here / "f").stat()
    assert (here / "f").read_bytes() == b"of the sandbox\n"
    assert (stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, seen.st_mtime) == (0o640, cloister.uid, cloister.gid, 1000000000)


def test_a_file_goes_in(room, files, here, cloister):
    source = made(cloister, here / "f", b"of the host\n", 0o751)
    os.utime(source, (5, 1000000000))
    outcome = files.into(source, "/tmp").ok()
    assert outcome.out == outcome.err == b"", str(outcome)
    mine = text(room.shell("id -u; id -g").ok().out).split()
    assert text(room.exec("stat", "-c", "%a %u %g %Y", "/tmp/f").ok().out).split() == ["751", *mine, "1000000000"]
    assert room.exec("cat", "/tmp/f").ok().out == b"of the host\n"


def test_a_tree_goes_in_and_out(room, files, here, cloister):
    tree = made_dir(cloister, here / "tree")
    for sub in ("empty", "a", "a/b"):
        made_dir(cloister, tree / sub)
    made(cloister, tree / "a/b/deep", b"deep")
    made(cloister, tree / "a/run", b"#!/bin/sh\n", 0o755)
    (tree / "a/link").symlink_to("../a/b/deep")
    os.lchown(tree / "a/link", cloister.uid, cloister.gid)
    odd = "new\nline \x1b[2J \udcff -rf *"
    made(cloister, tree / odd, b"odd")
    files.into(tree, "/tmp").ok()
    assert room.shell("cat /tmp/tree/a/link; cat /tmp/tree/new*").ok().out == b"deepodd"
    files.out("/tmp/tree", here / "back").ok()
    assert names(here / "back") == names(tree) == sorted(["a", "a/b", "a/b/deep", "a/link", "a/run", "empty", odd])
    for name in names(tree):
        seen, there = (tree / name).lstat(), (here / "back" / name).lstat()
        assert (seen.st_mode, seen.st_uid, seen.st_mtime_ns if not stat.S_ISLNK(seen.st_mode) else 0, seen.st_size) == \
            (there.st_mode, there.st_uid, there.st_mtime_ns if not stat.S_ISLNK(there.st_mode) else 0, there.st_size), name
    assert os.readlink(here / "back/a/link") == "../a/b/deep"


def test_the_places_are_dockers(room, files, here, cloister):
    """All of the rules are tests/unit/test_copy_place.c; here both sides have them."""
    tree = made_dir(cloister, here / "d")
    made(cloister, tree / "f", b"of f")
    files.into(f"{tree}/.", "/tmp").ok()
    files.into(tree, "/tmp/new").ok()
    files.into(tree, "/tmp/new/").ok()
    files.into(tree / "f", "/tmp/g").ok()
    assert text(room.shell("cd /tmp; find . -type f | sort").ok().out).split() == ["./f", "./g", "./new/d/f", "./new/f"]
    back = made_dir(cloister, here / "back")
    files.out("/tmp/new/.", back).ok()
    files.out("/tmp/new/d/", back / "other").ok()
    files.out("/tmp/g", back / "d").ok()
    assert names(back) == ["d", "d/f", "d/g", "f", "other", "other/f"]


def test_a_path_inside_is_from_the_root(room, files, here):
    room.shell("mkdir /tmp/d; echo x >/tmp/d/f").ok()
    files.out("tmp/d/f", here / "f").ok()
    assert (here / "f").read_bytes() == b"x\n"
    files.out("tmp/d/../../tmp/d/f", here / "g").ok()
    files.out("/../../../../tmp/d/f", here / "h").ok()
    assert names(here) == ["f", "g", "h"]


def test_a_link_that_is_named_is_followed_inside(room, files, here):
    """To where it leads there."""
    room.shell("ln -s /etc/image-file /tmp/l; ln -s /etc/shadow /tmp/none").ok()
    files.out("/tmp/l", here).ok()
    assert (here / "l").read_bytes() == b"image\n" and not (here / "l").is_symlink()
    failed(files.out("/tmp/none", here), "copy /tmp/none: No such file or directory")


def test_by_id_and_by_a_part_of_it(room, files, here, cloister):
    listed = json.loads(cloister.call("ps", "--format", "json").ok().out)
    name = next(row["id"] for row in listed if row["name"] == room.name)
    for word in (name, name[:8]):
        files.cp(f"{word}:/etc/image-file", here / word).ok()
    assert names(here) == sorted([name, name[:8]])


def test_a_colon_behind_a_slash_is_of_the_path(room, files, here, cloister):
    source = made(cloister, here / f"{room.name}:x")
    files.into(source, "/tmp").ok()
    files.into(f"./{room.name}:x", "/tmp/y", cwd=here).ok()
    assert room.shell("ls /tmp").ok().out.split() == [f"{room.name}:x".encode(), b"y"]
    files.out("/tmp/y", f"./{room.name}:z", cwd=here).ok()
    assert (here / f"{room.name}:z").exists()


# --- owners, rights and places --------------------------------------------------------------


@pytest.mark.parametrize("opts,owner", [([], None), (["--profile", "build"], "0 0"), (["--profile", "build", "-u", "plain"], "0 0")],
                         ids=["strict", "build", "build-user"])
def test_who_owns_what(cloister, rootfs, here, opts, owner):
    source = made(cloister, here / "f")
    with sandbox(cloister, rootfs, opts=opts) as room:
        files = Copies(room)
        files.into(source, "/tmp/f").ok()
        assert text(room.exec("stat", "-c", "%u %g", "/tmp/f").ok().out).strip() == (owner or text(room.shell('echo "$(id -u) $(id -g)"').out).strip())
        files.out("/tmp/f", here / "back").ok()
    assert ((here / "back").stat().st_uid, (here / "back").stat().st_gid) == (cloister.uid, cloister.gid)


def test_what_nobody_may_read(cloister, rootfs, here):
    script = "mkdir /tmp/d; echo x >/tmp/d/secret; echo y >/tmp/d/f; chmod 0 /tmp/d/secret"
    with sandbox(cloister, rootfs) as room:
        files = Copies(room)
        room.shell(script).ok()
        outcome = files.out("/tmp/d", here / "strict")
        assert outcome.exit == 1 and said(outcome) == [f"cloister: left out {here}/strict/secret: Permission denied",
                                                       "cloister: 1 of what is in /tmp/d was not copied"], str(outcome)
        failed(files.out("/tmp/d/secret", here), "copy /tmp/d/secret: Permission denied")
    with sandbox(cloister, rootfs, opts=["--profile", "build"]) as room:
        files = Copies(room)
        room.shell(script).ok()
        files.out("/tmp/d", here / "build").ok()
    assert names(here) == ["build", "build/f", "build/secret", "strict", "strict/f"]
    assert (here / "build/secret").read_bytes() == b"x\n" and stat.S_IMODE((here / "build/secret").stat().st_mode) == 0


def test_read_only_places(room, files, here, cloister):
    source = made(cloister, here / "f")
    failed(files.into(source, "/etc"), "make /etc/f: Read-only file system")
    failed(files.into(here, "/"), f"make the directory /{here.name}: Read-only file system")
    outcome = files.into(source, "/proc/sys/kernel/core_pattern")
    assert outcome.exit == 125 and len(said(outcome)) == 1, str(outcome)


def test_build_writes_where_its_root_may(cloister, rootfs, here):
    with sandbox(cloister, rootfs, opts=["--profile", "build"]) as room:
        files = Copies(room)
        outcome = files.into(made(cloister, here / "f", b"new\n"), "/etc/image-file")
        if cloister.identity == "user":  # to whose root the image's directories belong not
            failed(outcome, "replace /etc/image-file: Permission denied")
        else:
            assert outcome.ok() and room.exec("cat", "/etc/image-file").ok().out == b"new\n"
    assert (rootfs.path / "etc/image-file").read_text() == "image\n"


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_volumes(cloister, as_user, rootfs, here, mode):
    volume = as_user.directory("volume")  # a sandbox never writes as root
    made(as_user, volume / "old", b"old\n")
    source = made(cloister, here / "f", b"new\n")
    with sandbox(cloister, rootfs, opts=["-v", f"{volume}:/vol:{mode}"]) as room:
        files = Copies(room)
        files.out("/vol/old", here / "old").ok()
        outcome = files.into(source, "/vol")
    assert (here / "old").read_bytes() == b"old\n"
    if mode == "ro":
        failed(outcome, "make /vol/f: Read-only file system")
    else:
        assert outcome.ok() and (volume / "f").read_bytes() == b"new\n"


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
def test_a_full_disk_inside(cloister, rootfs, here, place):
    source = made(cloister, here / "big", bytes(24 << 20))
    with sandbox(cloister, rootfs, opts=["--disk", "8m", "--shm-size", "1m"]) as room:
        files = Copies(room)
        failed(files.into(source, place), f"write {place}/big: No space left on device")
        room.exec("rm", f"{place}/big").ok()
        files.gone()


def test_without_limits(cloister, rootfs, here):
    with sandbox(cloister, rootfs, opts=["--without", "limits"]) as room:
        files = Copies(room)
        files.into(made(cloister, here / "f"), "/tmp/f").ok()
        files.out("/tmp/f", here / "g").ok()
    assert (here / "g").read_bytes() == b"content\n"


def test_a_file_size_that_is_limited_holds_for_the_porter(cloister, rootfs, here):
    with sandbox(cloister, rootfs, opts=["--file-size", "1m"]) as room:
        files = Copies(room)
        failed(files.into(made(cloister, here / "big", bytes(2 << 20)), "/tmp"), "write /tmp/big: File too large")


def test_tasks_that_are_limited_hold_for_the_porter(as_root, rootfs, world):
    with sandbox(as_root, rootfs, opts=["--pids-limit", "3"]) as room:
        files = Copies(room)
        with room.start("probe", "wait") as one, room.start("probe", "wait") as two:
            one.expect(b"ready")
            two.expect(b"ready")
            failed(files.out("/etc/image-file", world.directory("cp")),
                   "clone a process: Resource temporarily unavailable; the sandbox has as many tasks as it may (--pids-limit)")


# --- what a person does wrong ---------------------------------------------------------------


def test_what_is_not_there(room, files, here, cloister):
    source = made(cloister, here / "f")
    failed(files.out("/tmp/no", here), "copy /tmp/no: No such file or directory")
    failed(files.into(here / "no", "/tmp"), f"copy {here}/no: No such file or directory")
    failed(files.out("/etc/image-file", here / "no/f"), f"copy to {here}/no/f: open {here}/no/: No such file or directory")
    failed(files.into(source, "/tmp/no/f"), "copy to /tmp/no/f: open /tmp/no/: No such file or directory")
    failed(files.out("/etc/image-file", f"{here}/no/"), f"copy to {here}/no/: there is no such directory")
    failed(files.into(source, "/tmp/no/"), "copy to /tmp/no/: there is no such directory")
    failed(files.out("/etc/image-file", source / "x"), f"copy to {here}/f/x: open {here}/f/: Not a directory")
    failed(files.out("/etc", source), f"copy a directory to {here}/f: something else is there")
    failed(files.out("/etc/image-file/.", here), "copy /etc/image-file/.: Not a directory")
    assert names(here) == ["f"] and room.shell("ls /tmp").ok().out == b""


def test_one_side_is_a_sandbox(room, files, here):
    one = "cp: one of source and target is in a sandbox (ID:PATH), the other on the host"
    failed(files.cp(here, "/tmp"), one)
    failed(files.cp(f"{room.name}:/etc", f"{room.name}:/tmp"), one)
    failed(files.cp("x:/etc", "y:/tmp"), one)
    failed(files.cp("./x:/etc", "/tmp"), one)


def test_words_that_are_none(room, files, here):
    failed(files.cp(), "cp: expected a source and a target")
    failed(files.cp(here), "cp: expected a source and a target")
    failed(files.cp(here, f"{room.name}:/tmp", "more"), "cp: expected a source and a target")
    failed(files.cp(f"{room.name}:", here), f"cp: no path behind {room.name}:")
    failed(files.cp(":/etc", here), 'cp: ":/etc" names no sandbox before the colon')
    failed(files.cp("", f"{room.name}:/tmp"), "copy: an empty path")
    failed(files.cp("x" * 300 + ":/etc", here), "cp: no sandbox has so long a name")
    failed(files.out("/" + "x" * 300, here), f"copy: the name at the end of /{'x' * 63}... is too long")
    failed(files.into(here, "/tmp/" + "x" * 300), f"copy to /tmp/{'x' * 300}: Filename too long")


def test_standard_streams_are_refused(room, files, here):
    line = "cp: archives on standard streams are not built; name a file or directory"
    failed(files.cp("-", f"{room.name}:/tmp"), line)
    failed(files.cp(f"{room.name}:/etc", "-"), line)


def test_options_of_others_are_refused(room, files, here):
    outcome = files.out("/etc", here, "-a")
    failed(outcome, "--archive: owners are not copied: files belong to who copies them, or to the sandbox's user")
    outcome = files.out("/etc", here, "--follow-link")
    failed(outcome, "--follow-link: a link that is named is followed anyway, and none below it")
    outcome = files.out("/etc", here, "--nosuch")
    assert outcome.exit == 125 and "nosuch" in text(outcome.err), str(outcome)
    failed(files.out("/etc", here, "--max-size", "much"), '--max-size: expected a size like 10GiB, got "much"')
    assert names(here) == []


def test_sandboxes_that_are_none(cloister, rootfs, here):
    outcome = cloister.call("cp", "nobody-of-that-name:/etc", here)
    outcome.refused("no sandbox|no running sandbox", "nobody-of-that-name")
    name = f"cp-ended-{os.getpid()}"
    cloister.detach(rootfs, "sh", "-c", "exit 3", opts=["--name", name]).ok()
    cloister.call("wait", name)
    outcome = cloister.call("cp", f"{name}:/etc", here)
    assert outcome.exit == 125 and re.fullmatch(
        r"cloister: sandbox [0-9a-f]{16} has ended; its files went with it; see run --keep\n", text(outcome.err)), str(outcome)
    cloister.call("rm", name).ok()


def test_another_users_sandbox_is_not_there(as_root, as_user, rootfs, here, cloister):
    other = as_user if cloister is as_root else as_root
    with sandbox(other, rootfs) as room:
        outcome = cloister.call("cp", f"{room.name}:/etc/image-file", here)
        assert outcome.exit == 125 and room.name in text(outcome.err), str(outcome)
    assert names(here) == []


def test_a_target_of_somebody_elses(as_user, rootfs, as_root):
    closed = as_root.directory("closed", mode=0o755)
    with sandbox(as_user, rootfs) as room:
        failed(Copies(room).out("/etc/image-file", closed), f"make {closed}/image-file: Permission denied")


# --- what is left out ------------------------------------------------------------------------


def test_what_is_no_file_is_left_out_and_said(room, files, here):
    room.shell("mkdir /tmp/d; cd /tmp/d; mkfifo p; ln -s /etc/passwd l; ln -s ../../.. up; echo x >f").ok()
    outcome = files.out("/tmp/d", here)
    assert outcome.exit == 1 and outcome.out == b"", str(outcome)
    assert sorted(said(outcome)) == sorted([
        f"cloister: left out {here}/d/p: it is no file, directory or link",
        f"cloister: left out {here}/d/l: the link leads out of what is copied",
        f"cloister: left out {here}/d/up: the link leads out of what is copied",
        "cloister: 3 of what is in /tmp/d were not copied"]), str(outcome)
    assert names(here) == ["d", "d/f"]
    quiet = files.out("/tmp/d", here, "--quiet")
    assert quiet.exit == 1 and said(quiet) == ["cloister: 3 of what is in /tmp/d were not copied"], str(quiet)
    assert files.out("/tmp/d", here, "-q").exit == 1


def test_only_the_first_are_named(room, files, here):
    room.shell("mkdir /tmp/d; cd /tmp/d; for i in $(seq 50); do ln -s / $i; done").ok()
    outcome = files.out("/tmp/d", here)
    assert outcome.exit == 1 and len(said(outcome)) == 11, str(outcome)
    assert said(outcome)[-1] == "cloister: 50 of what is in /tmp/d were not copied"


def test_kinds_on_the_host_are_left_out(room, files, here, cloister):
    tree = made_dir(cloister, here / "d")
    os.mkfifo(tree / "p")
    (tree / "l").symlink_to("/etc/passwd")
    outcome = files.into(tree, "/tmp")
    assert outcome.exit == 1 and said(outcome) == [f"cloister: left out {tree}/p: it is no file, directory or link",
                                                   f"cloister: 1 of what is in {tree} was not copied"], str(outcome)
    assert room.exec("readlink", "/tmp/d/l").ok().out == b"/etc/passwd\n"  # inside it leads nowhere but there


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/tmp/p"])
def test_a_device_or_pipe_alone_is_refused(room, files, here, path):
    room.shell("mkfifo /tmp/p").ok()
    failed(files.out(path, here), f"copy {path}: it is neither a file nor a directory")


# --- sizes -----------------------------------------------------------------------------------


def test_more_than_may_come_out(room, files, here):
    room.shell("mkdir /tmp/d; head -c 3000000 /dev/zero >/tmp/d/f").ok()
    failed(files.out("/tmp/d", here / "no", "--max-size", "2m"), "more than 2097152 bytes are to be copied; --max-size allows more")
    files.out("/tmp/d", here / "yes", "--max-size", "3m").ok()
    assert (here / "yes/f").stat().st_size == 3000000
    room.exec("truncate", "-s", "11G", "/tmp/d/g").ok()
    failed(files.out("/tmp/d/g", here), "more than 10737418240 bytes are to be copied; --max-size allows more")
    files.gone()


def test_what_goes_in_has_the_sandboxs_bounds_alone(room, files, here, cloister):
    """--max-size is none of them."""
    source = made(cloister, here / "f", bytes(100000))
    files.into(source, "/tmp", "--max-size", "1").ok()
    os.truncate(source, 12 << 30)
    files.into(source, "/tmp").ok()
    assert room.exec("stat", "-c", "%s", "/tmp/f").ok().out == b"%d\n" % (12 << 30)


def test_a_file_larger_than_any(room, files, here, cloister):
    """A file system's own bound is not cured by --max-size."""
    room.exec("truncate", "-s", str((1 << 63) - 4096), "/tmp/f").ok()
    outcome = files.out("/tmp/f", here / "f", "--max-size", "16000000T")
    assert outcome.exit == 125 and "allows more" not in text(outcome.err), str(outcome)


def test_a_big_file_and_back(room, files, here, cloister):
    data = os.urandom(1 << 20) * 48
    files.into(made(cloister, here / "big", data), "/tmp").ok()
    files.out("/tmp/big", here / "back").ok()
    assert hashlib.sha256((here / "back").read_bytes()).digest() == hashlib.sha256(data).digest()


def test_sparse_files_stay_sparse(room, files, here, cloister):
    source = made(cloister, here / "f", b"start")
    os.truncate(source, 1 << 30)
    files.into(source, "/tmp").ok()
    size, blocks = map(int, room.exec("stat", "-c", "%s %b", "/tmp/f").ok().out.split())
    assert size == 1 << 30 and blocks < 1000
    files.out("/tmp/f", here / "back").ok()
    assert (here / "back").stat().st_size == 1 << 30 and (here / "back").stat().st_blocks < 1000


def test_many_files(room, files, here):
    room.shell(f"mkdir /tmp/d; cd /tmp/d; for i in $(seq {LOTS}); do echo $i >$i; done").ok()
    files.out("/tmp/d", here).ok()
    assert len(os.listdir(here / "d")) == LOTS and (here / "d" / str(LOTS)).read_text() == f"{LOTS}\n"
    files.into(here / "d", "/tmp/e").ok()
    assert room.shell("ls /tmp/e | wc -l").ok().word() == str(LOTS)


# --- what changes meanwhile --------------------------------------------------------------------


@pytest.fixture
def busy(cloister, rootfs):
    """A sandbox that does SCRIPT over and over."""
    def start(script):
        return sandbox(cloister, rootfs, "sh", "-c", f"mkdir /tmp/d; cd /tmp/d; echo ready; while :; do {script}; done")
    return start


def test_a_file_that_grows_for_ever(busy, here):
    """Is copied as far as it went."""
    with busy("echo 0123456789 >>g") as room:
        files = Copies(room)
        for turn in range(5):
            files.out("/tmp/d", here / str(turn)).ok()
    sizes = [(here / str(turn) / "g").stat().st_size for turn in range(5)]
    assert sizes == sorted(sizes) and sizes[-1] % 11 == 0


@pytest.mark.parametrize("script", ["head -c 300000 /dev/zero >c; : >c", "head -c 300000 /dev/zero >c; truncate -s 900000 c; truncate -s 1000 c",
                                    "head -c 300000 /dev/zero >c; rm c", "mkdir e; echo x >e/f; rm -r e", "mkdir e f; echo x >e/f; mv e f; rm -r f",
                                    "ln -s x l; rm l; mkdir l; rmdir l; mkfifo l; rm l; echo x >l; rm l"],
                         ids=["cut", "sparse", "removed", "directory", "renamed", "kinds"])
def test_what_changes_meanwhile(busy, here, script):
    """The copy has some state of it, and doesn't fail; what was another kind may be left out."""
    with busy(script) as room:
        files = Copies(room)
        for turn in range(12):
            outcome = files.out("/tmp/d", here / str(turn))
            assert outcome.exit == 0 or ("mkfifo" in script and outcome.exit == 1), str(outcome)
        files.gone()


# --- several, and ends in the middle --------------------------------------------------------------


def fill(room):
    """A tree that takes long to copy."""
    room.shell("mkdir /tmp/d; head -c 8000000 /dev/zero >/tmp/d/f; cd /tmp/d; for i in $(seq 500); do ln f $i; done").ok()
    return "/tmp/d"


@pytest.fixture
def long_copy(room, here):
    """Words of a copy out that lasts."""
    return f"{room.name}:{fill(room)}", here / "long"


def test_two_at_a_time(room, files, here, cloister):
    room.shell("head -c 20000000 /dev/zero >/tmp/f").ok()
    source = made(cloister, here / "big", bytes(20 << 20))
    with files.start(f"{room.name}:/tmp/f", here / "1") as one, files.start(f"{room.name}:/tmp/f", here / "2") as two, \
            files.start(source, f"{room.name}:/tmp/g") as three:
        for running in (one, two, three):
            outcome = running.wait()
            assert outcome.exit == 0 and outcome.err == b"", str(outcome)
    assert (here / "1").stat().st_size == (here / "2").stat().st_size == 20000000
    assert room.exec("stat", "-c", "%s", "/tmp/g").ok().word() == str(20 << 20)
    files.gone()


@pytest.mark.parametrize("opts", [[], ["--without", "landlock"]], ids=["landlock", "without"])
def test_a_client_shuts_itself_in(cloister, rootfs, here, opts):
    """Before the first byte comes (tests/unit/test_copy_confine.c); where the sandbox stands on Landlock."""
    with sandbox(cloister, rootfs, opts=opts) as room:
        source, target = fill(room), here / "long"
        with Copies(room).start(f"{room.name}:{source}", target) as running:
            poll(target.exists, 20, "nothing was copied")
            status = (Path("/proc") / str(running.pid) / "status").read_text()
            assert re.search(r"^NoNewPrivs:\t(\d)", status, re.M)[1] == ("0" if opts else "1")


@pytest.mark.parametrize("name", ["KILL", "TERM", "INT"])
def test_a_client_that_is_ended_leaves_nobody(room, files, long_copy, name):
    running, porter = files.held(*long_copy)
    with running:
        assert alive(porter)
        os.kill(running.pid, signal.Signals[f"SIG{name}"])
        os.kill(running.pid, signal.SIGCONT)
        assert running.wait().exit == -signal.Signals[f"SIG{name}"]
    files.gone()
    assert room.exec("true").exit == 0


def test_a_client_that_is_ended_while_it_sends_leaves_nobody(room, files, here, cloister):
    tree = made_dir(cloister, here / "d")
    made(cloister, tree / "f", bytes(1 << 20))
    for number in range(3000):
        os.link(tree / "f", tree / str(number))
    running, porter = files.held(tree, f"{room.name}:/tmp")
    with running:
        assert alive(porter)
        os.kill(running.pid, signal.SIGKILL)
        assert running.wait().exit == -signal.SIGKILL
    files.gone()


def test_a_porter_that_is_killed_from_inside(room, files, long_copy):
    running, porter = files.held(*long_copy)
    with running:
        killing = room.shell("for p in /proc/[0-9]*; do p=${p#/proc/}; test $p -le 2 || test $p = $$ || kill -KILL $p; done")
        if b"Permission denied" in killing.err:  # AppArmor: commands reach each other alone
            assert alive(porter)
            os.kill(porter, signal.SIGKILL)
        os.kill(running.pid, signal.SIGCONT)
        failed(running.wait(), "the copy's process in the sandbox was ended by signal 9; it may be out of memory")
    files.gone()


def test_a_sandbox_that_ends_in_the_middle(room, files, long_copy):
    running, _ = files.held(*long_copy)
    with running:
        room.cloister.call("kill", room.name).ok()
        room.running.wait()
        os.kill(running.pid, signal.SIGCONT)
        outcome = running.wait()
        assert outcome.exit == 125 and re.fullmatch(r"cloister: sandbox [0-9a-f]{16} has ended\n", text(outcome.err)), str(outcome)


def test_out_of_memory(as_root, rootfs, world):
    """Main is the largest, and so the kernel ends it; a copy that goes on a moment longer finds no room for all of it either."""
    source = made(as_root, world.directory("cp") / "big", bytes(40 << 20))
    script = "cd /tmp; mkfifo p; { head -c 40000000 /dev/zero; sleep 1000; } >p & echo ready; exec tail -c 40000000 p"
    with sandbox(as_root, rootfs, "sh", "-c", script, opts=["-m", "64m"]) as room:
        status = Path("/proc") / str(host_pid_of(room.running, "tail")) / "status"
        poll(lambda: int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) > 38000, 20, "main never grew")
        outcome = Copies(room).into(source, "/tmp")
        assert outcome.exit == 125 and len(said(outcome)) == 1, str(outcome)
        assert re.search("out of memory|has ended|No space left", text(outcome.err)), str(outcome)
        room.running.wait().ended("oom", 137, hit="memory")


def test_a_sandbox_that_is_stopped_is_waited_for(room, files, here):
    """With its porter, in its cgroup or not: the copy goes on with it."""
    room.cloister.call("kill", "-s", "STOP", room.name).ok()
    files.out("/etc/image-file", here).ok()
    room.cloister.call("kill", "-s", "CONT", room.name).ok()


# --- other walls and rules -----------------------------------------------------------------------


HARDLY = ["execve", "read", "write", "exit", "exit_group", "brk", "mmap", "munmap", "mprotect", "arch_prctl", "set_tid_address", "readlink",
          "openat", "open", "close", "fstat", "newfstatat", "set_robust_list", "rseq", "getrandom", "prlimit64", "uname", "getuid", "geteuid",
          "nanosleep", "clock_nanosleep", "ioctl", "prctl", "getpid", "getppid", "rt_sigaction", "rt_sigprocmask", "wait4", "dup2", "fcntl",
          "vfork", "fork", "clone", "stat", "lstat", "getcwd", "readlinkat", "poll", "setuid", "setgid", "getgid", "getegid", "time",
          "gettimeofday", "setpgid", "getpgrp", "rt_sigreturn", "sendfile"]


@pytest.mark.parametrize("action,line", [
    ("SCMP_ACT_ERRNO", "set mode and time of /tmp/f: Operation not permitted"),
    ("SCMP_ACT_KILL_PROCESS", "the copy's process in the sandbox was ended by signal 31; the sandbox's --seccomp profile forbids what a copy takes")],
    ids=["errno", "kill"])
def test_a_users_profile_holds_for_the_porter(cloister, rootfs, here, action, line):
    """Together with what init counts on: enough to read files, and not to make them as they were."""
    path = cloister.directory("profile") / "profile.json"
    path.write_text(json.dumps({"defaultAction": action, "syscalls": [{"names": HARDLY, "action": "SCMP_ACT_ALLOW"}]}))
    with sandbox(cloister, rootfs, opts=["--seccomp", str(path)]) as room:
        files = Copies(room)
        files.out("/etc/image-file", here / "f").ok()
        failed(files.into(here / "f", "/tmp"), line)
        files.gone()
        assert room.shell("echo alive").ok().out == b"alive\n"


def test_the_hosts_image(cloister, here):
    with sandbox(cloister, "host") as room:
        files = Copies(room)
        files.into(made(cloister, here / "f"), "/tmp").ok()
        files.out("/tmp/f", here / "g").ok()
        assert names(here) == ["f", "g"]


def test_a_detached_sandbox(cloister, rootfs, here):
    name = f"cp-detached-{os.getpid()}"
    cloister.detach(rootfs, "sleep", "1000", opts=["--name", name]).ok()
    try:
        cloister.call("cp", made(cloister, here / "f"), f"{name}:/tmp/f").ok()
        cloister.call("cp", f"{name}:/tmp/f", here / "g").ok()
    finally:
        cloister.call("rm", "-f", name).ok()
    assert (here / "g").read_bytes() == b"content\n"


def test_no_bell_is_left(room, files, here):
    files.out("/etc", here / "etc").ok()
    assert room.bells() == []
