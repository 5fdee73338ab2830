"""Volumes, scratch, and what may be written where."""

import os
import re
import shutil
import subprocess

import pytest

from lib.trees import snapshot
from lib.runner import text

ENOSPC, EROFS, EACCES, EPERM = 28, 30, 13, 1


def owned_by_user(world, path):
    os.chown(path, world.user.pw_uid, world.user.pw_gid)
    return path


@pytest.fixture
def source(world):
    """A directory of the ordinary user's, so that root may give it for writing too."""
    path = world.directory("source", owner="user")
    owned_by_user(world, path)
    for name in ("file", "other"):
        (path / name).write_text(f"{name} of the host\n")
        owned_by_user(world, path / name)
    (path / "below").mkdir()
    owned_by_user(world, path / "below")
    return path


def errno_of(outcome):
    return int(re.search(r"errno (\d+)", text(outcome.ok().out))[1])


@pytest.fixture
def owned_rootfs(cloister, own_rootfs):
    """A tree that belongs to who runs it: an ordinary user can't copy up what is another's."""
    if cloister.uid:
        for path in [own_rootfs.path, *own_rootfs.path.rglob("*")]:
            os.chown(path, cloister.uid, cloister.gid, follow_symlinks=False)
    return own_rootfs


@pytest.mark.parametrize("mode", ["", ":ro"])
def test_a_volume_is_read_only_by_default(cloister, rootfs, source, mode):
    before = snapshot(source)
    outcome = cloister.run(rootfs, "sh", "-c", "cat /data/file; ls /data; probe create /data/new; probe create /data/file",
                           opts=["-v", f"{source}:/data{mode}"]).ok()
    assert outcome.lines() == ["file of the host", "below", "file", "other", f"errno {EROFS}", f"errno {EROFS}"]
    assert snapshot(source) == before


def test_a_rw_volume_writes_to_the_host_as_its_owner(cloister, rootfs, source, world):
    outcome = cloister.run(rootfs, "sh", "-c",
                           "echo new >/data/new && mkdir /data/dir && echo more >>/data/file && stat -c '%u %g' /data/file /data/new",
                           opts=["-v", f"{source}:/data:rw"]).ok()
    assert outcome.lines() == ["1000 1000", "1000 1000"]
    assert (source / "new").read_text() == "new\n"
    assert (source / "file").read_text() == "file of the host\nmore\n"
    for name in ("new", "dir", "file"):
        seen = (source / name).stat()
        assert (seen.st_uid, seen.st_gid) == (world.user.pw_uid, world.user.pw_gid), name


def test_a_rw_volume_of_root_is_not_written(cloister, rootfs, world):
    """Root is refused what it could write; for an ordinary user the modes say it."""
    mine = world.directory("of-root")
    outcome = cloister.run(rootfs, "probe", "create", "/data/new", opts=["-v", f"{mine}:/data:rw"])
    if cloister.identity == "root":
        outcome.refused(str(mine), "copy|chown")
    else:
        assert errno_of(outcome) == EACCES
    assert not list(mine.iterdir())


def test_a_rw_volume_of_roots_group_is_told_apart(as_root, rootfs, source, world):
    """The owner is an ordinary user: only the group is in the way, and chgrp the cure."""
    os.chown(source, world.user.pw_uid, 0)
    outcome = as_root.run(rootfs, "true", opts=["-v", f"{source}:/data:rw"])
    outcome.refused(rf"{re.escape(str(source))} has root's group, .*chgrp.*{re.escape(str(source))}:/data:copy")
    assert "belongs to root" not in text(outcome.err)
    os.chown(source, 0, world.user.pw_gid)
    as_root.run(rootfs, "true", opts=["-v", f"{source}:/data:rw"]).refused("belongs to root, .*chown")


def test_what_is_put_below_a_rw_volume_is_made_on_the_host(cloister, rootfs, source):
    """And stays there, as the volume's owner's; below others it is made in the sandbox alone."""
    volume = source / "below"
    for mode in ("ro", "copy", "rw"):
        opts = ["-v", f"{volume}:/v:{mode}", "-v", f"{source}/file:/v/a/file", "--tmpfs", "/v/b", "-w", "/v/c/d"]
        assert cloister.run(rootfs, "sh", "-c", "pwd; cat /v/a/file; echo x >/v/b/new", opts=opts).ok().lines() == ["/v/c/d", "file of the host"]
        left = sorted(str(path.relative_to(volume)) for path in volume.rglob("*"))
        assert left == (["a", "a/file", "b", "c", "c/d"] if mode == "rw" else []), mode
    assert {path.stat().st_uid for path in volume.rglob("*")} == {volume.stat().st_uid}
    assert (volume / "a/file").read_text() == ""


@pytest.mark.parametrize("opts", [[], ["--writable"], ["--profile", "build"]], ids=" ".join)
def test_what_the_image_has_in_tmp_is_hidden(cloister, owned_rootfs, opts):
    for place in ("tmp/x", "var/tmp/x"):
        (owned_rootfs.path / place).mkdir()
        (owned_rootfs.path / place / "file").write_text("image\n")
    for words in ([], ["-w", "/tmp/x"]):
        outcome = cloister.run(owned_rootfs, "find", "/tmp", "/var/tmp", "-name", "file", opts=[*opts, *words])
        assert outcome.ok().out == b"", str(outcome)


@pytest.mark.parametrize("flags", [["--writable"], ["-v", "{tree}:/v:copy"], ["-w", "/srv"]], ids=" ".join)
def test_copy_on_write_over_a_tree_with_a_mount_below(cloister, own_rootfs, flags):
    """Root's is refused where that mount can't be id-mapped, an ordinary user's always; both name the tree and the cure."""
    place = own_rootfs.path / "srv/work"
    opts = [flag.format(tree=own_rootfs.path) for flag in flags]
    words = cloister.run_words(own_rootfs, ["/bin/busybox", "true"], opts, None)
    hide = f'mount --make-rprivate / && mount -t proc proc {place} && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", hide, "sh", *cloister.argv(*words)], env=cloister.environment(), cwd="/",
                          capture_output=True, text=True, timeout=60)
    what = "/srv" if flags[0] == "-w" else str(own_rootfs.path)
    why = {"root": f"id-map the mount of {own_rootfs.path}: ",
           "user": f"copy-on-write over {what}: make the file system overlay: "}[cloister.identity]
    assert done.returncode == 125 and why in done.stderr and done.stderr.count("\n") == 1, done
    assert "mounted below it" in done.stderr and "name a directory that has none below" in done.stderr, done


def test_a_copy_volume_takes_writes_and_the_host_sees_none(cloister, rootfs, source):
    before = snapshot(source)
    outcome = cloister.run(rootfs, "sh", "-c",
                           "echo x >>/data/file; echo new >/data/new; rm /data/other; cat /data/file /data/new; ls /data",
                           opts=["-v", f"{source}:/data:copy"]).ok()
    assert outcome.lines() == ["file of the host", "x", "new", "below", "file", "new"]
    assert snapshot(source) == before


def test_writes_to_a_copy_count_as_scratch(cloister, rootfs, source):
    outcome = cloister.run(rootfs, "probe", "write", "/data/big", opts=["-v", f"{source}:/data:copy", "--disk", "8m"]).ok()
    wrote, error = map(int, re.findall(r"\d+", outcome.word()))
    assert error == ENOSPC and wrote <= 8 << 20
    assert "disk" in outcome.result["limits_hit"]


def test_two_copies_do_not_see_each_other(cloister, rootfs, source):
    with cloister.start(rootfs, "sh", "-c", "echo first >/data/mark; exec probe wait", opts=["-v", f"{source}:/data:copy"]) as one:
        one.expect(b"ready")
        assert cloister.run(rootfs, "ls", "/data", opts=["-v", f"{source}:/data:copy"]).ok().lines() == ["below", "file", "other"]


@pytest.mark.parametrize("spec", ["type=bind,source={s},target=/data", "type=bind,src={s},dst=/data",
                                  "type=bind,src={s},destination=/data,readonly", "type=bind,src={s},dst=/data,ro"])
def test_mount_bind(cloister, rootfs, source, spec):
    outcome = cloister.run(rootfs, "sh", "-c", "cat /data/file; probe create /data/new", opts=["--mount", spec.format(s=source)])
    assert outcome.ok().lines() == ["file of the host", f"errno {EROFS}"]


def test_a_file_can_be_a_volume(cloister, rootfs, source):
    opts = ["-v", f"{source}/file:/etc/image-file", "-v", f"{source}/other:/srv/work/not-there-before"]
    outcome = cloister.run(rootfs, "sh", "-c", "cat /etc/image-file /srv/work/not-there-before; probe create /etc/image-file", opts=opts)
    assert outcome.ok().lines() == ["file of the host", "other of the host", f"errno {EROFS}"]


def test_a_file_can_be_a_rw_volume(cloister, rootfs, source):
    cloister.run(rootfs, "sh", "-c", "echo over >/srv/f", opts=["-v", f"{source}/file:/srv/f:rw"]).ok()
    assert (source / "file").read_text() == "over\n"


@pytest.mark.parametrize("destination", ["/not/there/before", "/srv/work/deep/er", "/data"])
def test_a_missing_destination_is_made_in_the_sandbox_only(cloister, rootfs, source, destination):
    before = rootfs.snapshot()
    assert cloister.run(rootfs, "cat", f"{destination}/file", opts=["-v", f"{source}:{destination}"]).ok().out == b"file of the host\n"
    assert rootfs.snapshot() == before


def test_volumes_may_lie_in_each_other(cloister, rootfs, source):
    opts = ["-v", f"{source}:/data/below", "-v", f"{rootfs.path}/srv/work:/data"]
    with_both = cloister.run(rootfs, "sh", "-c", "cat /data/given", opts=["-v", f"{rootfs.path}/srv/work:/data"]).ok()
    assert with_both.out == b"given\n"
    opts = ["-v", f"{source}:/data", "-v", f"{rootfs.path}/srv/work:/data/below"]
    assert cloister.run(rootfs, "cat", "/data/file", "/data/below/given", opts=opts).ok().lines() == ["file of the host", "given"]


@pytest.mark.parametrize("name", ["with space", "comma,name", "ünï", "-dash", "quote\"'", "per%cent", "back\\slash", "a=b"])
def test_odd_names_as_volumes(cloister, rootfs, world, name):
    base = world.directory("odd", owner="user")
    path = base / name
    path.mkdir()
    (path / "file").write_text("odd\n")
    assert cloister.run(rootfs, "cat", f"/at {name}/file", opts=["-v", f"{path}:/at {name}"]).ok().out == b"odd\n"


@pytest.mark.parametrize("spec", ["{s}/new\nline:/x", "{s}:/new\nline", "{s}:/esc\x1b"])
def test_control_characters_in_names_are_refused(cloister, rootfs, source, spec):
    outcome = cloister.run(rootfs, "true", opts=["-v", spec.format(s=source)]).refused()
    assert b"\x1b" not in outcome.err


def test_a_colon_in_a_name_goes_through_mount(cloister, rootfs, world):
    path = world.directory("with:colon", owner="user")
    (path / "file").write_text("odd\n")
    outcome = cloister.run(rootfs, "cat", "/a:b/file", opts=["--mount", f"type=bind,src={path},dst=/a:b"])
    assert outcome.ok().out == b"odd\n"


def test_relative_sources_begin_at_the_callers_directory(cloister, rootfs, source):
    for spec in ("./below/..:/data", ".:/data", "../" + source.name + ":/data"):
        assert cloister.run(rootfs, "cat", "/data/file", opts=["-v", spec], cwd=source).ok().out == b"file of the host\n"


def test_a_source_may_be_a_link(cloister, rootfs, source, world):
    link = world.directory("links") / "link"
    link.symlink_to(source)
    assert cloister.run(rootfs, "cat", "/data/file", opts=["-v", f"{link}:/data"]).ok().out == b"file of the host\n"


def test_a_link_in_a_volume_points_into_the_sandbox(cloister, rootfs, source):
    (source / "link").symlink_to("/etc/image-file")
    (source / "out").symlink_to("/etc/shadow")
    outcome = cloister.run(rootfs, "sh", "-c", "cat /data/link; cat /data/out 2>/dev/null || echo none", opts=["-v", f"{source}:/data"])
    assert outcome.ok().lines() == ["image", "none"]


@pytest.mark.parametrize("spec", ["{d}/missing:/data", "{d}/file/x:/data", "{d}/dangling:/data"])
def test_a_missing_source_is_an_error_and_is_not_made(cloister, rootfs, source, spec):
    (source / "dangling").symlink_to(source / "nowhere")
    before = snapshot(source)
    outcome = cloister.run(rootfs, "true", opts=["-v", spec.format(d=source)])
    outcome.refused(re.escape(spec.format(d=source).split(":")[0]))
    assert snapshot(source) == before


def test_what_the_user_may_not_read_stays_unread(as_user, rootfs, world):
    closed = world.directory("closed", mode=0o700)
    (closed / "file").write_text("of root\n")
    outcome = as_user.run(rootfs, "cat", "/data/file", opts=["-v", f"{closed}:/data"])
    assert outcome.exit != 0 and b"of root" not in outcome.out
    as_user.run(rootfs, "cat", "/data", opts=["-v", f"{closed}/file:/data"]).refused(re.escape(str(closed)))


def test_volumes_carry_no_setuid_and_no_devices(cloister, rootfs, source):
    options = cloister.run(rootfs, "grep", " /data ", "/proc/self/mountinfo", opts=["-v", f"{source}:/data:rw"]).ok().word()
    assert {"nosuid", "nodev"} <= set(options.split()[5].split(",")), options


def test_tmpfs(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "echo x >/scratch/f; cat /scratch/f; grep -c ' /scratch ' /proc/self/mountinfo",
                           opts=["--tmpfs", "/scratch"])
    assert outcome.ok().lines() == ["x", "1"]


@pytest.mark.parametrize("opts", [["--tmpfs", "/scratch:size=1m"], ["--mount", "type=tmpfs,dst=/scratch,tmpfs-size=1m"]])
def test_tmpfs_size(cloister, rootfs, opts):
    outcome = cloister.run(rootfs, "probe", "write", "/scratch/f", opts=opts).ok()
    wrote, error = map(int, re.findall(r"\d+", outcome.word()))
    assert error == ENOSPC and 1 << 19 < wrote <= 1 << 20


def test_shm(cloister, rootfs):
    assert cloister.run(rootfs, "sh", "-c", "echo x >/dev/shm/f; cat /dev/shm/f").ok().out == b"x\n"
    outcome = cloister.run(rootfs, "probe", "write", "/dev/shm/f", opts=["--shm-size", "1m"]).ok()
    wrote, error = map(int, re.findall(r"\d+", outcome.word()))
    assert error == ENOSPC and 1 << 19 < wrote <= 1 << 20


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/dev/shm"])
def test_strict_scratch_is_writable_and_begins_empty(cloister, rootfs, place):
    outcome = cloister.run(rootfs, "sh", "-c", f"ls -A {place}; echo x >{place}/f && cat {place}/f").ok()
    assert outcome.out == b"x\n"


def test_scratch_is_private_to_each_run(cloister, rootfs):
    with cloister.start(rootfs, "sh", "-c", "echo x >/tmp/mark; exec probe wait") as one:
        one.expect(b"ready")
        assert cloister.run(rootfs, "ls", "-A", "/tmp").ok().out == b""
    assert cloister.run(rootfs, "ls", "-A", "/tmp", "/var/tmp", "/dev/shm").ok().word() == "/dev/shm:\n\n/tmp:\n\n/var/tmp:"


@pytest.mark.parametrize("place", ["/", "/bin", "/etc", "/srv/open", "/srv/open/given", "/home", "/dev", "/proc"])
def test_strict_leaves_the_image_read_only(cloister, rootfs, place):
    path = place if place.endswith("given") else f"{place.rstrip('/')}/new"
    assert errno_of(cloister.run(rootfs, "probe", "create", path)) in (EROFS, EACCES, EPERM, 2)
    if place.startswith("/srv"):
        # the modes would let everybody write here: only the mount forbids it
        assert errno_of(cloister.run(rootfs, "probe", "create", path)) == EROFS


def test_strict_working_directory_is_copy_on_write(cloister, owned_rootfs):
    before = owned_rootfs.snapshot()
    outcome = cloister.run(owned_rootfs, "sh", "-c", "echo x >new; echo y >>given; cat new given; rm given; ls", opts=["-w", "/srv/open"])
    assert outcome.ok().lines() == ["x", "given", "y", "new"]
    assert owned_rootfs.snapshot() == before


def test_writable_makes_the_whole_root_copy_on_write(cloister, owned_rootfs):
    before = owned_rootfs.snapshot()
    outcome = cloister.run(owned_rootfs, "sh", "-c", "echo x >/srv/open/new && cat /srv/open/new", opts=["--writable"])
    assert outcome.ok().out == b"x\n"
    assert owned_rootfs.snapshot() == before


def test_build_root_is_copy_on_write(cloister, owned_rootfs):
    before = owned_rootfs.snapshot()
    outcome = cloister.run(owned_rootfs, "sh", "-c", "echo x >/etc/new && mkdir /opt && rm /bin/yes && chown 5:6 /etc/new && stat -c '%u %g' /etc/new",
                          opts=["--profile", "build"])
    assert outcome.ok().word() == "5 6"
    assert owned_rootfs.snapshot() == before


def test_build_with_read_only(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "probe create /etc/new; probe create /tmp/new", opts=["--profile", "build", "--read-only"])
    assert outcome.ok().lines() == [f"errno {EROFS}", "errno 0"]


@pytest.mark.parametrize("source", ["/proc", "/proc/self", "/sys", "/sys/fs/cgroup/memory", "/proc/sys/kernel/hostname"])
def test_the_kernels_own_files_are_no_volume_to_write(cloister, rootfs, source):
    """/proc/PID/oom_score_adj and clear_refs are the caller's to write, and with an rw volume were the sandbox's."""
    if not os.path.exists(source):
        source = "/sys/fs/cgroup"
    cloister.run(rootfs, "true", opts=["-v", f"{source}:/x:rw"]).refused("volume|owner|root", source)


@pytest.mark.parametrize("said", ["flag", "policy"])
@pytest.mark.parametrize("image", ["host", "rootfs"])
def test_strict_with_read_only_has_no_writable_workdir(cloister, rootfs, image, said):
    """Without it the working directory is copy-on-write; asked for by name, nothing of the image is."""
    if said == "flag":
        opts = ["--read-only"]
    else:
        policy = cloister.directory() / "policy.yaml"
        policy.write_text("root: read-only\n")
        policy.chmod(0o644)
        opts = ["--policy", policy]
    tried = ("sh", "-c", "touch /etc/new 2>/dev/null && echo wrote; touch /tmp/new && echo scratch")
    where = "host" if image == "host" else rootfs
    assert cloister.run(where, *tried, opts=[*opts, "-w", "/etc"]).ok().lines() == ["scratch"]
    assert cloister.run(where, *tried, opts=["-w", "/etc"]).ok().lines() == ["wrote", "scratch"]


def test_read_only_and_writable_exclude_each_other(cloister, rootfs):
    cloister.run(rootfs, "true", opts=["--read-only", "--writable"]).refused("read-only", "writable")


@pytest.mark.parametrize("image", ["host", "rootfs"])
@pytest.mark.parametrize("profile", ["strict", "build"])
def test_disk_limits_all_scratch_together(cloister, rootfs, image, profile):
    script = "for p in /tmp /var/tmp /dev/shm; do head -c 3000000 /dev/zero >$p/f 2>/dev/null; done; cat /tmp/f /var/tmp/f /dev/shm/f | wc -c"
    outcome = cloister.run("host" if image == "host" else rootfs, "sh", "-c", script, opts=["--disk", "4m", "--profile", profile]).ok()
    assert 3_000_000 <= int(outcome.word()) <= 4 << 20
    assert "disk" in outcome.result["limits_hit"]


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/dev/shm", "/srv/open"])
def test_disk_limit_is_enospc_in_every_place(cloister, rootfs, place):
    outcome = cloister.run(rootfs, "probe", "write", f"{place}/f", opts=["--disk", "4m", "-w", "/srv/open"]).ok()
    wrote, error = map(int, re.findall(r"\d+", outcome.word()))
    assert error == ENOSPC and 1 << 20 < wrote <= 4 << 20
    outcome.ended("exited", 0, hit="disk")


@pytest.mark.parametrize("place", ["/tmp", "/srv/open"])
def test_disk_limit_counts_inodes(cloister, rootfs, place):
    outcome = cloister.run(rootfs, "probe", "inodes", place, "300000", opts=["--disk", "4m", "-w", "/srv/open"]).ok()
    made, error = map(int, re.findall(r"\d+", outcome.word()))
    assert error == ENOSPC and 100 < made < 300000
    assert "disk" in outcome.result["limits_hit"]


def test_the_default_disk_is_256_mib(cloister, rootfs):
    outcome = cloister.run(rootfs, "probe", "write", "/tmp/f", str(400 << 20)).ok()
    wrote, error = map(int, re.findall(r"\d+", outcome.word()))
    assert error == ENOSPC and 200 << 20 < wrote <= 256 << 20


def test_more_scratch_than_memory_is_enospc_and_no_oom(cloister, rootfs):
    outcome = cloister.run(rootfs, "probe", "write", "/tmp/f", str(400 << 20), opts=["--memory", "64m", "--disk", "256m"]).ok()
    outcome.ended("exited", 0, hit="disk")
    assert "memory" not in outcome.result["limits_hit"]


def test_no_disk_limit_hit_when_there_is_room(cloister, rootfs):
    outcome = cloister.run(rootfs, "probe", "write", "/tmp/f", "1000000").ok()
    assert outcome.word() == "wrote 1048576 errno 0" and outcome.result["limits_hit"] == []


def test_scratch_can_hold_programs(cloister, rootfs):
    assert cloister.run(rootfs, "sh", "-c", "cp /bin/busybox /tmp/echo && /tmp/echo ran").ok().out == b"ran\n"


def test_mounts_of_the_sandbox_are_few_and_careful(cloister, rootfs):
    rows = [line.split() for line in cloister.run(rootfs, "cat", "/proc/self/mountinfo").ok().lines()]
    for row in rows:
        options = set(row[5].split(","))
        where = row[4]
        assert "nosuid" in options, row
        assert "nodev" in options or where.startswith("/dev"), row
        assert not any(tag.startswith(("shared:", "master:")) for tag in row[6:row.index("-")]), row
    assert {row[4] for row in rows} >= {"/", "/proc", "/dev", "/tmp"}


@pytest.mark.parametrize("image", ["host", "rootfs"])
@pytest.mark.parametrize("profile", ["strict", "build"])
def test_above_the_root_is_the_root(cloister, rootfs, world, image, profile):
    mark = world.directory("mark", mode=0o777)
    (mark / "file").write_text("of the host\n")
    path = f"/../../..{mark}"
    outcome = cloister.run("host" if image == "host" else rootfs, "sh", "-c",
                          f"stat -c %d:%i / /..; cat {path}/file; echo x >{path}/new", opts=["--profile", profile])
    root, above = outcome.lines()[:2]
    assert root == above and b"of the host" not in outcome.out, str(outcome)
    assert not (mark / "new").exists()


@pytest.mark.parametrize("image", ["host", "rootfs"])
def test_no_mount_of_the_host_remains(cloister, rootfs, image):
    rows = [line.split() for line in cloister.run("host" if image == "host" else rootfs, "cat", "/proc/self/mountinfo").ok().lines()]
    assert [row[4] for row in rows].count("/") == 1, rows
    assert not [row[4] for row in rows if row[4].startswith(("/sys/fs/cgroup", "/run/cloister", "/var/lib"))]


def test_file_systems_of_their_own_limit_files_too(cloister, rootfs):
    """An empty file costs the kernel memory that a tmpfs's size doesn't count."""
    outcome = cloister.run(rootfs, "/bin/busybox", "df", "-i", "/dev/shm", "/own", opts=["--shm-size", "8m", "--tmpfs", "/own:size=16m"]).ok()
    assert [int(line.split()[1]) for line in outcome.lines()[1:]] == [2048, 4096], str(outcome)


@pytest.mark.parametrize("opts,on_disk", [(["--profile", "build"], True), (["-w", "/srv/open"], True), ([], False)])
def test_copy_on_write_is_on_disk_before_linux_6_6(cloister, rootfs, opts, on_disk):
    """A tmpfs takes the attributes by which an overlay marks what it removes since 6.6; the host says it is older.

    An ordinary user has no disk for it: see `rm -r` in the README.
    """
    words = cloister.run_words(rootfs, ["sh", "-c", "grep ' /tmp ' /proc/mounts"], opts, None)
    done = subprocess.run(["setarch", "--uname-2.6", *cloister.argv(*words)], env=cloister.environment(), cwd="/", capture_output=True, timeout=60)
    assert done.returncode == 0, done
    assert done.stdout.startswith(b"/dev/loop") == (on_disk and cloister.identity == "root"), done


@pytest.mark.parametrize("command,said", [(["ls", "/v"], "cloister: {0} lets only {1} in, and the sandbox isn't {1}"),
                                          (["/v/script"], "execute /v/script: Permission denied; {0} lets only {1} in"),
                                          (["sh", "-c", "exit 1"], "cloister: {0} lets only {1} in")])
def test_a_volume_that_only_the_caller_may_read_is_hinted_at(cloister, rootfs, world, command, said):
    """As umask 077 makes them. An ordinary user's sandbox is that user, but for another of the range of `build`."""
    closed = world.directory("closed", mode=0o700)
    (closed / "script").write_text("#!/bin/sh\n")
    shutil.chown(closed, cloister.uid, cloister.gid)
    who, other = ("root", []) if cloister.identity == "root" else ("you", ["--profile", "build", "-u", "1000"])
    show = [*other, "-v", f"{closed}:/v"]
    outcome = cloister.run(rootfs, *command, opts=show)
    assert outcome.exit != 0 and said.format(closed, who) in text(outcome.err) and f"{closed}:/v:copy" in text(outcome.err), str(outcome)
    assert text(cloister.run(rootfs, "sh", "-c", "true", opts=show).ok().err) == ""
    assert text(cloister.run(rootfs, "sh", "-c", "exit 1", opts=[*other, "-v", f"{closed}:/v:copy"]).err) == ""
    cloister.run(rootfs, "sh", "-c", "true", opts=[*show, "-w", "/v"]).refused("change to /v: Permission denied; .*:copy")
    if cloister.identity == "user":
        assert text(cloister.run(rootfs, "sh", "-c", "exit 1", opts=["-v", f"{closed}:/v"]).err) == ""


def test_an_image_that_only_root_may_read_is_hinted_at(cloister, world):
    closed = world.directory("image", mode=0o700)
    outcome = cloister.run(f"rootfs:{closed}", "/bin/sh")
    if cloister.identity == "user":
        outcome.refused(f"{closed}: .*: Permission denied$")
        return
    assert outcome.exit == 126 and f"Permission denied; {closed} lets only root in" in text(outcome.err), str(outcome)
