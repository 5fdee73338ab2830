"""Who a sandboxed program is, inside and outside; which rooms it is in."""

import contextlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from lib.runner import USR1, Cloister, host_pid_of, read_result, text
from lib.world import command

FIRST_UID = 0x70000000
NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
NAMES = "for n in /proc/self/ns/*; do readlink $n; done"
CAP_DAC_OVERRIDE, CAP_KILL = 1, 5
BUILD_CAPABILITIES = {0, 1, 3, 4, 6, 7}  # CHOWN DAC_OVERRIDE FOWNER FSETID SETGID SETUID


def status_field(pid, name):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].split()
    raise KeyError(name)


def outside_ids(cloister, rootfs, opts=()):
    with cloister.start(rootfs, "probe", "wait", opts=opts) as running:
        running.expect(b"ready")
        pid = host_pid_of(running, "probe")
        return [int(u) for u in status_field(pid, "Uid")], [int(g) for g in status_field(pid, "Gid")], status_field(pid, "Groups")


@contextlib.contextmanager
def subordinate_files(world, *texts):
    """/etc/subuid and /etc/subgid with these texts, in this mount namespace only."""
    names = ("/etc/subuid", "/etc/subgid")
    for name, content in zip(names, texts):
        path = world.directory("sub") / "ids"
        path.write_text(content)
        path.chmod(0o644)
        command("mount", "--bind", path, name)
    try:
        yield
    finally:
        for name in names:
            command("umount", name)


@pytest.fixture
def subordinate(world, as_user):
    """Sub-uids for the ordinary user."""
    line = f"{world.user.pw_name}:300000:65536\n"
    with subordinate_files(world, line, line):
        yield range(300000, 365536)


def test_strict_as_root_is_a_uid_of_its_own_range(as_root, rootfs):
    uids, gids, groups = outside_ids(as_root, rootfs)
    assert len(set(uids)) == 1 and len(set(gids)) == 1 and groups == []
    assert uids[0] >= FIRST_UID and uids[0] % 65536 == 1000 and gids[0] >= FIRST_UID


@pytest.mark.parametrize("profile", ["strict", "build"])
def test_only_an_ordinary_users_strict_sandbox_keeps_the_callers_groups(cloister, rootfs, world, subordinate, profile):
    """With maps of one id each the kernel lets nobody drop groups: threat-model.md tells it."""
    group, volume = 987654, world.directory("of-a-group")
    (volume / "file").write_text("of the group\n")
    os.chown(volume / "file", 0, group)
    (volume / "file").chmod(0o640)
    words = cloister.run_words(rootfs, ["sh", "-c", "id -G; cat /v/file"], ["--profile", profile, "-v", f"{volume}:/v"], None)
    before = ["setpriv", f"--reuid={cloister.uid}", f"--regid={cloister.gid}", f"--groups={group}", "--"]
    done = subprocess.run([*before, str(cloister.binary), *words], env=cloister.environment(), cwd="/", capture_output=True, text=True, timeout=60)
    if (cloister.identity, profile) == ("user", "strict"):
        assert done.stdout == "1000 65534\nof the group\n", done
    else:
        assert done.stdout == ("1000\n" if profile == "strict" else "0\n") and "Permission denied" in done.stderr, done


@pytest.mark.parametrize("opts", [[], ["--profile", "build", "-u", "0"]], ids=["strict", "build"])
def test_a_line_of_cloister_gives_roots_sandboxes_their_uids(as_root, rootfs, world, opts):
    line = "somebody:1879048192:65536\ncloister:655360000:65537\n"  # the default is somebody's here
    with subordinate_files(world, line, line):
        uids, gids, _ = outside_ids(as_root, rootfs, opts)
        assert set(uids) == set(gids) == {655360000 + (0 if opts else 1000)}
        with as_root.start(rootfs, "probe", "wait") as running:
            running.expect(b"ready")
            as_root.run(rootfs, "true").refused("all 1 uid ranges are in use")
        as_root.run(rootfs, "true").ok()


@pytest.mark.parametrize("subuid,subgid,needles", [
    ("somebody:1879048192:1\n", "", ["somebody:1879048192:1", "/etc/subuid", "overlaps", "cloister:FIRST:COUNT"]),
    ("", "somebody:1:4294967295\n", ["somebody:1:4294967295", "/etc/subgid", "overlaps"]),
    ("cloister:655360000:65536\n", "", ["different things of cloister"]),
    ("cloister:1000:65536\n", "cloister:1000:65536\n", ["cloister:1000:65536", "no uids"]),
], ids=["subuid", "subgid", "one-file", "too-few"])
def test_uids_that_are_not_the_sandboxes_alone_stop_root(as_root, as_user, rootfs, world, subuid, subgid, needles):
    with subordinate_files(world, subuid, subgid):
        as_root.run(rootfs, "true").refused(*needles)
        doctor = as_root.call("doctor")
        assert doctor.exit == 1 and needles[0] in text(doctor.out), doctor
        as_user.run(rootfs, "true").ok()  # has no use for them


def test_build_as_root_is_not_root_outside(as_root, rootfs):
    uids, gids, _ = outside_ids(as_root, rootfs, ["--profile", "build"])
    assert min(uids) >= FIRST_UID and min(gids) >= FIRST_UID


def test_strict_as_user_is_that_user(as_user, rootfs, world):
    uids, gids, _ = outside_ids(as_user, rootfs)
    assert set(uids) == {world.user.pw_uid} and set(gids) == {world.user.pw_gid}


def test_two_sandboxes_of_root_have_different_ranges(as_root, rootfs):
    with as_root.start(rootfs, "probe", "wait") as one, as_root.start(rootfs, "probe", "wait") as two:
        one.expect(b"ready")
        two.expect(b"ready")
        uids = {int(status_field(host_pid_of(r, "probe"), "Uid")[0]) // 65536 for r in (one, two)}
    assert len(uids) == 2


def test_build_is_root_inside_with_a_whole_range(as_root, rootfs):
    outcome = as_root.run(rootfs, "sh", "-c", "id -u; id -g; awk '{ print $1, $3 }' /proc/self/uid_map", opts=["--profile", "build"]).ok()
    assert outcome.lines() == ["0", "0", "0 65536"]


def test_build_as_user_takes_sub_uids(as_user, rootfs, subordinate, world):
    uids, _, _ = outside_ids(as_user, rootfs, ["--profile", "build"])
    assert set(uids) <= {world.user.pw_uid, *subordinate}
    outcome = as_user.run(rootfs, "sh", "-c", "id -u; echo x >/tmp/f; chown 7:8 /tmp/f && stat -c '%u %g' /tmp/f", opts=["--profile", "build"]).ok()
    assert outcome.lines() == ["0", "7 8"]


def test_build_as_user_without_sub_uids_says_what_is_missing(as_user, rootfs, world):
    empty = world.directory("sub") / "none"
    empty.write_text("")
    command("mount", "--bind", empty, "/etc/subuid")
    try:
        as_user.run(rootfs, "true", opts=["--profile", "build"]).refused("subuid")
    finally:
        command("umount", "/etc/subuid")


def test_strict_needs_no_sub_uids(as_user, rootfs, world):
    empty = world.directory("sub") / "none"
    empty.write_text("")
    command("mount", "--bind", empty, "/etc/subuid")
    try:
        assert as_user.run(rootfs, "id", "-u").ok().word() == "1000"
    finally:
        command("umount", "/etc/subuid")


def bits(words):
    value = int(words, 16)
    return {n for n in range(64) if value >> n & 1}


def sandboxed_status(cloister, rootfs, opts=()):
    lines = cloister.run(rootfs, "cat", "/proc/self/status", opts=opts).ok().lines()
    return {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}


def test_strict_has_no_capabilities(cloister, rootfs):
    status = sandboxed_status(cloister, rootfs)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert bits(status[name]) == set(), (name, status[name])
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_build_has_six_capabilities(cloister, rootfs):
    status = sandboxed_status(cloister, rootfs, ["--profile", "build"])
    assert bits(status["CapEff"]) == bits(status["CapPrm"]) == bits(status["CapBnd"]) == BUILD_CAPABILITIES
    assert bits(status["CapAmb"]) == bits(status["CapInh"]) == set()
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


# Keeps its capabilities over setuid (PR_SET_KEEPCAPS), says what it has, and becomes another program.
KEEPER = r"""
import ctypes, os
show = "exec grep -E '^Cap(Prm|Eff|Amb)' /proc/self/status"
print("kept", ctypes.CDLL(None).prctl(8, 1, 0, 0, 0) == 0, flush=True)
os.setresuid(7, 7, 7)
for line in open("/proc/self/status"):
    if line.startswith(("CapPrm", "CapEff", "CapAmb")):
        print(line, end="", flush=True)
os.execv("/bin/sh", ["sh", "-c", show])
"""


@pytest.mark.parametrize("profile", ["strict", "build"])
def test_root_of_build_keeps_capabilities_until_its_next_program(cloister, profile):
    """setpriv(1) does that, and so do daemons and maintainer scripts which give root up. strict has nothing to keep."""
    own = f"{sum(1 << c for c in BUILD_CAPABILITIES):016x}" if profile == "build" else "0" * 16
    script = KEEPER if profile == "build" else KEEPER.replace("os.setresuid(7, 7, 7)", "")
    lines = cloister.run("host", "python3", "-c", script, opts=["--profile", profile]).ok().lines()
    found = [line.split()[1] for line in lines]
    assert found == [str(profile == "build"), own, "0" * 16, "0" * 16, "0" * 16, "0" * 16, "0" * 16], lines


def test_setpriv_gives_root_up_in_build(cloister):
    words = ["setpriv", "--reuid=7", "--regid=8", "--clear-groups", "sh", "-c", "id -u; id -g; id -G"]
    assert cloister.run("host", *words, opts=["--profile", "build"]).ok().lines() == ["7", "8", "8"]


@pytest.mark.parametrize("name", NAMESPACES)
def test_a_namespace_of_its_own(cloister, rootfs, name):
    inside = cloister.run(rootfs, "readlink", f"/proc/self/ns/{name}").ok().word()
    assert re.fullmatch(rf"{name}:\[\d+\]", inside)
    assert inside != os.readlink(f"/proc/self/ns/{name}")


def test_two_sandboxes_share_no_namespace(cloister, rootfs):
    with cloister.start(rootfs, "sh", "-c", NAMES + "; exec probe wait") as one:
        first = set(text(one.expect(b"ready")).split())
        second = set(cloister.run(rootfs, "sh", "-c", NAMES).ok().word().split())
    shared = {s.split(":")[0] for s in first & second}
    assert not shared & set(NAMESPACES), shared


def test_only_loopback_and_it_is_up(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "sed 1,2d /proc/net/dev | cut -d: -f1; probe net").ok()
    assert [w.strip() for w in outcome.lines()] == ["lo", "lo up", "connect 0", "far 101"]


def test_the_command_is_pid_two_below_our_init(cloister, rootfs):
    assert cloister.run(rootfs, "sh", "-c", "echo $$ $PPID").ok().word() == "2 1"
    pids = cloister.run(rootfs, "sh", "-c", "ls /proc | grep -E '^[0-9]+$'").ok().lines()
    assert "1" in pids and "2" in pids and max(map(int, pids)) < 10


def test_orphans_are_reaped(cloister, rootfs):
    script = ("for i in 1 2 3 4 5; do (true & ) ; done; n=0; while [ $n -lt 200 ]; do "
              "grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null | grep -q . || { echo clean; exit; }; n=$((n+1)); usleep 10000; done")
    assert cloister.run(rootfs, "sh", "-c", script).ok().word() == "clean"


def test_init_has_nothing_of_the_host(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "cat /proc/1/environ 2>/dev/null; ls -l /proc/1/fd /proc/1/cwd /proc/1/exe /proc/1/root 2>/dev/null; tr '\\0' ' ' </proc/1/cmdline")
    for word in ("CLOISTER_TEST_SECRET", str(rootfs.path), "--result", "/run/cloister"):
        assert word not in text(outcome.out), str(outcome)


@contextlib.contextmanager
def at_work(cloister, rootfs):
    """A sandbox whose supervisor and init have shrunk and come to their loops: a signal went through both."""
    with cloister.start(rootfs, "probe", "trap") as running:
        running.expect(b"ready\n")
        running.signal(USR1)
        running.expect(b"got 10\n")
        yield running


def assert_shrunk(pid, kept):
    for name in ("CapPrm", "CapEff"):
        assert bits(status_field(pid, name)[0]) == kept, (name, status_field(pid, name))
    for name in ("CapInh", "CapAmb"):
        assert bits(status_field(pid, name)[0]) == set(), (name, status_field(pid, name))
    assert status_field(pid, "NoNewPrivs") == ["1"] and status_field(pid, "Seccomp") == ["2"]
    ours, its = (int(status_field(who, "Seccomp_filters")[0]) for who in ("self", pid))
    assert its == ours + 1  # a filter that the tests run in would make a 2 as well


def test_the_supervisor_shrinks(cloister, rootfs):
    with at_work(cloister, rootfs) as running:
        assert_shrunk(running.pid, {CAP_DAC_OVERRIDE, CAP_KILL} if cloister.identity == "root" else set())


def test_init_shrinks(cloister, rootfs):
    with at_work(cloister, rootfs) as running:
        init = int(status_field(host_pid_of(running, "probe"), "PPid")[0])
        assert int(status_field(init, "PPid")[0]) == running.pid
        assert_shrunk(init, {CAP_KILL})
        assert bits(status_field(init, "CapBnd")[0]) == set()


def test_every_layer_is_listed(cloister, rootfs):
    layers = set(cloister.run(rootfs, "true").ok().result["layers"])
    expected = {"userns", "pidns", "mountns", "netns", "ipcns", "utsns", "cgroupns", "readonly", "procmask", "devices", "nosuid",
                "capabilities", "no-new-privs", "securebits", "keyring", "seccomp", "limits", "disk-limit", "dumpable", "rlimits", "core-limit", "stdio"}
    assert layers >= expected - set(cloister.without)
    assert not layers & set(cloister.without)


@pytest.mark.parametrize("layer", ["landlock", "disk-limit", "limits", "core-limit"])
def test_a_layer_that_was_given_up_is_not_listed(cloister, rootfs, layer):
    assert layer not in cloister.run(rootfs, "true", opts=["--without", layer]).ok().result["layers"]


@pytest.mark.parametrize("layer", ["seccomp", "userns", "capabilities", "pidns", "mountns", "netns", "no-new-privs", "readonly", "devices", "stdio", "", "everything"])
def test_the_other_layers_cannot_be_given_up(cloister, rootfs, layer):
    cloister.run(rootfs, "true", opts=["--without", layer]).refused("without")


@pytest.mark.parametrize("owner", ["root", "user"])
def test_the_program_can_not_be_written_from_inside(as_user, rootfs, world, owner):
    """A user's own copy of cloister runs from sealed memory: CVE-2019-5736."""
    directory = world.directory("bin")
    for program in ("cloister", "cloister-plan"):
        source = as_user.binary.with_name(program)
        (directory / program).write_bytes(source.read_bytes())
        (directory / program).chmod(0o755)
        if owner == "user":
            os.chown(directory / program, world.user.pw_uid, world.user.pw_gid)
    cloister = Cloister(world, directory / "cloister", "user")
    with cloister.start(rootfs, "probe", "wait") as running:
        running.expect(b"ready")
        init = int(status_field(host_pid_of(running, "probe"), "PPid")[0])
        program = os.readlink(f"/proc/{init}/exe")
    assert program.startswith("/memfd:") == (owner == "user"), program


def test_a_sealed_program_finds_its_helper(as_user, rootfs, world):
    directory = world.directory("bin")
    for program in ("cloister", "cloister-plan"):
        (directory / program).write_bytes(as_user.binary.with_name(program).read_bytes())
        (directory / program).chmod(0o755)
        os.chown(directory / program, world.user.pw_uid, world.user.pw_gid)
    policy = world.directory("policy") / "p.yaml"
    policy.write_text("limits: {open_files: 77}\n")
    policy.chmod(0o644)
    outcome = Cloister(world, directory / "cloister", "user").run(rootfs, "probe", "env", opts=["--policy", policy]).ok()
    assert outcome.result["limits"]["open_files"] == 77


def test_help_and_a_wrong_line_need_no_sealed_copy(as_user, world):
    """A file that its user may only execute can't be copied: whoever tried would say so."""
    program = world.directory("bin") / "cloister"
    program.write_bytes(as_user.binary.read_bytes())
    os.chown(program, world.user.pw_uid, world.user.pw_gid)
    program.chmod(0o111)
    cloister = Cloister(world, program, "user")
    assert text(cloister.call("run", "--help").ok().out).startswith("Usage: cloister run ")
    cloister.call("run", "--frobnicate", "host").refused("unknown option --frobnicate")
    cloister.call("run").refused("no image")
    cloister.call("run", "host", "true").refused("/proc/self/exe: Permission denied")


def cgroup_names():
    """The names of all cgroups of the machine."""
    return {name for _, names, _ in os.walk("/sys/fs/cgroup") for name in names}


def test_nothing_is_left_in_the_roots_of_the_hierarchies(world, as_root, rootfs):
    """A v1 hierarchy's root directory is closed even to its owner (0555): removing a cgroup there takes a capability."""
    roots = [path for path in Path("/sys/fs/cgroup").iterdir() if (path / "tasks").exists() or (path / "cgroup.procs").exists()]
    assert roots
    result = world.directory("result") / "result.json"
    script = "; ".join(f"echo $$ > {root}/cgroup.procs" for root in roots) + "; \"$@\"; code=$?; exit $code"
    line = [as_root.binary, "run", "--result", result, rootfs, "sh", "-c", "echo ready; read line"]
    with subprocess.Popen(["sh", "-c", script, "roots", *map(str, line)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"ready\n"
        meanwhile = cgroup_names()
        running.communicate(b"\n", timeout=60)
    assert running.returncode == 0
    own = f"cloister-{read_result(result)['id']}"  # others make cgroups there, too
    assert own in meanwhile
    assert own not in cgroup_names()


OWN_FILES = "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 box\n", "box\n"


@pytest.mark.parametrize("profile", ["strict", "build"])
@pytest.mark.parametrize("brings", [True, False], ids=["covered", "missing"])
def test_the_names_of_the_sandbox(cloister, own_rootfs, profile, brings):
    """What an image says of hosts is another machine's; one that has no such file gets it where its root can grow."""
    for name in ("hosts", "hostname"):
        if brings:
            (own_rootfs.path / "etc" / name).write_text("of the image\n")
    opts = ["--profile", profile, "--hostname", "box"]
    seen = cloister.run(own_rootfs, "sh", "-c", "cat /etc/hosts /etc/hostname 2>/dev/null; ping -c1 -w1 box 2>&1", opts=opts)
    said = seen.out.decode()
    expected = brings or profile == "build" and cloister.identity == "root"
    assert said.startswith("".join(OWN_FILES)) == expected, str(seen)
    assert ("bad address" in said) != expected, str(seen)
    if brings:
        assert (own_rootfs.path / "etc/hosts").read_text() == "of the image\n"


def test_a_volume_covers_the_names(cloister, own_rootfs, world):
    (own_rootfs.path / "etc/hosts").write_text("")
    mine = world.directory("names", owner="user") / "hosts"
    mine.write_text("10.1.2.3 mine\n")
    assert cloister.run(own_rootfs, "cat", "/etc/hosts", opts=["-v", f"{mine}:/etc/hosts"]).ok().word() == "10.1.2.3 mine"
    assert mine.read_text() == "10.1.2.3 mine\n"


def test_a_volume_at_etc_is_not_written(cloister, own_rootfs, world):
    mine = world.directory("etc", owner="user")
    os.chown(mine, world.user.pw_uid, world.user.pw_gid)
    (mine / "hosts").write_text("10.1.2.3 mine\n")
    assert cloister.run(own_rootfs, "cat", "/etc/hosts", opts=["-v", f"{mine}:/etc:rw"]).ok().word() == "10.1.2.3 mine"
    assert sorted(os.listdir(mine)) == ["hosts"] and (mine / "hosts").read_text() == "10.1.2.3 mine\n"
