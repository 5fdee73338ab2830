"""Attacks of the root file system and of those inside a container on an OCI runtime and its host."""

import collections
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.runner import text

ATTACKS = Path(__file__).resolve().parents[1] / "escape"
BUILT = ATTACKS.parents[1] / "build/escape"
NUMBERS = range(3, 40)  # of descriptors that a runtime may have
WAITS = "echo began; exec sleep 1000"


@pytest.fixture(scope="module")
def attacks():
    """The attack programs of tests/escape."""
    subprocess.run(["make", "-s", "-C", ATTACKS, f"OUT={BUILT}"], check=True)
    return BUILT


# --- descriptors ----------------------------------------------------------------------------------

def link_to_descriptors(bundle):
    """The image has a link to each descriptor that whoever enters it may still hold."""
    for number in NUMBERS:
        os.symlink(f"/proc/self/fd/{number}", bundle.rootfs / f"way{number}")
    return bundle


def test_a_working_directory_is_no_descriptor_of_the_runtimes_at_exec(runtime):
    """CVE-2024-21626: a link to /proc/self/fd/N for a working directory, followed by who still holds one of the host's."""
    container = runtime.started(link_to_descriptors(runtime.bundle(own_rootfs=True)).sh(WAITS))
    container.expect(b"began\n")
    for number in NUMBERS:
        for where in (f"/way{number}", f"/proc/self/fd/{number}"):
            outcome = container.exec("sh", "-c", "cat ../../../../../../../../etc/image-file && readlink /proc/self/cwd", opts=("--cwd", where))
            assert outcome.exit != 0 or outcome.out == b"image\n/\n", f"{where} leads out of the container\n{outcome}"
            assert outcome.exit == 0 or b"cwd" in outcome.err, f"{where}\n{outcome}"


def test_a_working_directory_is_no_descriptor_of_the_runtimes_at_create(runtime):
    bundle = link_to_descriptors(runtime.bundle(own_rootfs=True)).sh("cat ../../../../../../../../etc/image-file && readlink /proc/self/cwd")
    for number in NUMBERS:
        bundle.process["cwd"] = f"/way{number}"
        outcome = runtime.run(bundle)
        assert outcome.exit != 0 or outcome.out == b"image\n/\n", f"descriptor {number} leads out of the container\n{outcome}"
        assert outcome.exit == 0 or b"cwd" in outcome.err, f"{number}\n{outcome}"


def test_exec_passes_on_no_descriptor_of_its_own(runtime):
    """A number that the engine has not opened might be the runtime's."""
    container = runtime.started(runtime.bundle().sh(WAITS))
    container.expect(b"began\n")
    runtime.refused(container.exec("true", opts=("--preserve-fds", "20")), "descriptor 3 is not open|descriptor 3: bad file descriptor")


# --- the runtime's program ------------------------------------------------------------------------

HOLD = """
mkfifo /tmp/wait; echo began; read line < /tmp/go
pid=
while test -z "$pid"; do
    for each in /proc/[0-9]*; do
        case $(readlink $each/exe) in ""|/bin/*) ;; *) pid=${each#/proc/} ;; esac
    done
done
exec 3< /proc/$pid/exe
mount --bind /proc/$pid/exe /mnt/file && echo mounted
: < /tmp/wait
while true; do
    message=$( (exec 4<> /proc/self/fd/3) 2>&1) && echo opened && break
    case $message in *busy*) ;; *) break ;; esac
done
echo "$message"
"""


def hold(runtime, bundle, *command):
    """Runs the attack on a program of the host's: what it says in the end, and on standard error."""
    os.mkfifo(bundle.rootfs / "tmp/go")
    (bundle.rootfs / "mnt/file").write_text("")
    container = runtime.started(bundle.sh(HOLD))
    container.expect(b"began\n")
    held = runtime.popen("exec", container.id, *command)
    container.path("/tmp/go").write_text("go\n")
    container.ended()
    held.wait()
    container.wait()
    return text(container.out), text(container.err)


@pytest.mark.parametrize("capabilities", [(), ("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH")])
def test_the_runtime_is_not_overwritten(runtime, capabilities):
    """CVE-2019-5736: the container has the runtime start itself inside, takes its /proc/PID/exe, and writes when it has ended.

    The runtime is held by its log, which is a FIFO: as long as that has no reader it waits.
    """
    before = runtime.binary.read_bytes()
    bundle = runtime.bundle(own_rootfs=True)
    for kind in ("bounding", "effective", "permitted"):
        bundle.process["capabilities"][kind] += capabilities
    if capabilities:
        del bundle.linux["seccomp"]
    out, err = hold(runtime, bundle, "/proc/self/exe", "--log", "/tmp/wait", "list")
    assert runtime.binary.read_bytes() == before
    assert out == "began\nsh: can't create /proc/self/fd/3: Read-only file system\n", f"{out!r} {err!r}"
    assert err.startswith("mount: "), f"bound to another place: {err!r}"


def test_a_program_on_a_mount_that_can_be_written_is_overwritten(runtime):
    """The same attack on another program succeeds: what holds above is the runtime's mount."""
    bundle = runtime.bundle(own_rootfs=True)
    shutil.copy(bundle.rootfs / "bin/busybox", bundle.rootfs / "opt/busybox")
    out, err = hold(runtime, bundle, "/opt/busybox", "sh", "-c", ": > /tmp/wait")
    assert out == "began\nopened\n\n", f"{out!r} {err!r}"


# --- who seems dead -------------------------------------------------------------------------------

def test_a_process_whose_first_thread_has_ended_runs(runtime, attacks):
    bundle = runtime.bundle(own_rootfs=True).args("/hollow", "leave")
    shutil.copy(attacks / "hollow", bundle.rootfs / "hollow")
    container = runtime.started(bundle)
    container.expect(b"began\n")
    container.is_now("running")
    runtime.refused(container.call("delete"), "not stopped")
    container.kill("KILL")
    assert container.wait() == 128 + 9
    container.is_now("stopped")


# --- /proc ----------------------------------------------------------------------------------------

def test_what_is_mounted_over_files_of_proc_takes_nothing_of_the_runtimes(runtime):
    """CVE-2019-16884: a volume that the image's link leads over /proc/self gets what is meant for the kernel."""
    bundle = runtime.bundle(own_rootfs=True).sh(WAITS)
    bundle.process["oomScoreAdj"] = 500
    os.symlink("/proc/self", bundle.rootfs / "volume")
    volume = runtime.directory("volume")
    (volume / "oom_score_adj").write_text("mine")
    bundle.mount("/volume", volume, "bind", "rw")
    runtime.rejects(bundle, "mounted over", field="process.oomScoreAdj")
    assert (volume / "oom_score_adj").read_text() == "mine"


# --- who is there already -------------------------------------------------------------------------

LOOK = """
for each in /proc/[0-9]*; do
    test ${each#/proc/} != $$ && test -e $each/root%(marker)s && echo the mounts of the host: $each
    test -r $each/environ && grep -sl MARKED $each/environ
done
echo looked
"""


@pytest.mark.parametrize("name", ["prestart", "createRuntime"])
def test_who_shares_namespaces_sees_nothing_of_the_runtimes_process(runtime, name):
    """The processes of a pod: root with CAP_SYS_PTRACE in the user namespace that a new container joins, and its pid namespace."""
    def bundle():
        made = runtime.bundle(own_rootfs=True).map_ids(100000, 100000, 1000)
        made.mount_of("/dev/pts")["options"].remove("gid=5")
        for kind in ("bounding", "effective", "permitted"):
            made.process["capabilities"][kind] += ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH"]
        return made
    first = runtime.started(bundle().sh(WAITS))
    first.expect(b"began\n")
    marker = runtime.directory("marker")
    second = bundle().sh(WAITS)
    said = second.directory / "said"
    command = runtime.argv("exec", first.id, "sh", "-c", LOOK % {"marker": marker})
    second.hook(name, "/bin/sh", "-c", shlex.join(command) + f" > {said} 2>&1")
    second.process["oomScoreAdj"] = 300
    for kind in ("user", "pid"):
        second.namespace(kind, f"/proc/{first.pid}/ns/{kind}")
    container = runtime.create(second, env={"MARKED": "1"})
    assert container.status_field("NSpid").split()[0] == str(container.pid), "the number is that of the pid namespace"
    assert container.namespace("pid") == first.namespace("pid")
    score = container.file("oom_score_adj")
    container.start().expect(b"began\n")
    assert container.kill("KILL").wait() == 128 + 9  # before the other, whose end waits for it
    assert said.read_text() == "looked\n"
    assert score == "300\n"


# --- cgroups --------------------------------------------------------------------------------------

def writes_cgroups(runtime, script):
    """A container that may write its own cgroups, as one with CAP_SYS_ADMIN makes itself."""
    bundle = runtime.bundle().sh(script)
    bundle.mount_of("/sys/fs/cgroup")["options"].remove("ro")
    return runtime.started(bundle)


FREEZE = """
mkdir /sys/fs/cgroup/freezer/ice
echo 1 > /sys/fs/cgroup/freezer/ice/tasks
(echo FROZEN > /sys/fs/cgroup/freezer/ice/freezer.state; echo began; exec sleep 1000) &
wait
"""


@pytest.mark.parametrize("options", [("--force",), ()])
def test_who_has_frozen_itself_can_be_ended(runtime, options):
    """In a cgroup of its own below the container's: v1's freezer holds it against SIGKILL."""
    if not os.path.isdir("/sys/fs/cgroup/freezer"):
        pytest.skip("no v1 freezer here")
    container = writes_cgroups(runtime, f"({FREEZE}) & wait")
    container.expect(b"began\n")
    if not options:
        container.call("kill", "--all", "KILL").ok()
        assert container.wait() == 128 + 9
    container.delete(*options)


def test_cgroups_below_each_other_are_removed_however_deep(runtime):
    controllers = ["pids"] if os.path.isdir("/sys/fs/cgroup/pids") else ["."]
    container = writes_cgroups(runtime, f"for each in {' '.join(controllers)}; do cd /sys/fs/cgroup/$each; for i in $(seq 80); do mkdir d && cd d; done; done; "
                                        "sleep 1000 & echo $! > cgroup.procs; echo began; wait")
    container.expect(b"began\n")
    outcome = container.call("ps", "--format", "json").ok()
    assert len(json.loads(outcome.out)) == 2
    container.delete("--force")


MOUNTS = """
for each in /sys/fs/cgroup/*; do
    mount -t tmpfs -o size=64k planted $each && mkdir $each/x && echo 1 > $each/cgroup.procs
done
echo $(grep -c planted /proc/self/mountinfo); exec sleep 1000
"""


@pytest.mark.parametrize("mapped", [False, True], ids=["root", "mapped"])
def test_what_is_mounted_over_cgroups_inside_does_not_come_out(runtime, mapped):
    """A cgroup.procs of the container's own would name the processes that `kill --all` ends and `ps` tells."""
    bundle = runtime.bundle(own_rootfs=True).sh(MOUNTS).seccomp()
    bundle.mount_of("/sys/fs/cgroup")["options"].remove("ro")
    for kind in ("bounding", "effective", "permitted"):
        bundle.process["capabilities"][kind].append("CAP_SYS_ADMIN")
    if mapped:
        bundle.map_ids(100000, 100000, 1000)
    container = runtime.started(bundle)
    container.expect(b"\n")
    assert int(container.out) > 1, f"nothing was mounted: {container.err!r}"
    assert "planted" not in Path("/proc/self/mountinfo").read_text()
    assert json.loads(runtime.call("ps", "--format", "json", container.id).ok().out) == [container.pid]


# --- what fails late ------------------------------------------------------------------------------

def test_an_exec_whose_pid_file_fails_leaves_nothing(runtime):
    container = runtime.started(runtime.bundle().sh(WAITS))
    container.expect(b"began\n")
    outcome = container.exec("sleep", "1000", opts=("--detach", "--pid-file", "/no/such/directory/pid"))
    runtime.refused(outcome, "--pid-file")
    assert json.loads(container.call("ps", "--format", "json").ok().out) == [container.pid]


def test_a_start_that_fails_before_the_beginning_ends_the_container(runtime):
    """Nobody listens where system calls are to be asked about: the first process would wait for good."""
    bundle = runtime.bundle().sh(WAITS)
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/such/listener",
                               "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}
    container = runtime.create(bundle)
    runtime.refused(container.call("start"), field="linux.seccomp.listenerPath")
    assert container.wait() == 128 + 9
    container.is_now("stopped")


# an engine, or the machine's out-of-memory killer, ends the runtime

def test_a_create_that_is_killed_leaves_no_process(make_runtime, nothing_left):
    """At any moment, with no cgroup by which anybody would find what it had made. Its second call to write is one moment, and so on."""
    runtime = make_runtime("root")
    runtime.options = ["--cgroup-manager=disabled"]
    bundle = runtime.bundle().args("sleep", "1000").write()
    for moment in range(1, 12):
        identifier = runtime.new_id()
        argv = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64,write,sendmsg,openat", "-e", f"inject=sendmsg,write,openat:signal=KILL:when={moment * 9}",
                *runtime.argv("create", "--bundle", bundle.directory, identifier)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, cwd="/")
        runtime.call("delete", "--force", identifier).ok()
        if done.returncode == 0:
            break
    nothing_left([runtime])


def ready_for(runtime, words):
    """A container at the point of its life where the call comes, and the call's command line."""
    container = runtime.create(runtime.bundle().args("sleep", "1000"))
    if words[0] != "start":
        container.start()
    if words == ("delete",):
        container.kill("KILL").wait()
    return container, runtime.argv(*([*words, container.id] if words[0] == "delete" else [words[0], container.id, *words[1:]]))


def traced(argv, *options):
    return subprocess.run(["strace", "-qq", *options, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          timeout=60, cwd="/").returncode


def moments(runtime, words, most=15):
    """Some of the system calls that it makes, over all its time: each by its name and its number among those of that name."""
    container, argv = ready_for(runtime, words)
    log, found, seen = runtime.directory("trace") / "calls", [], collections.Counter()
    assert traced(argv, "-o", log) == 0
    for name in re.findall(r"^(\w+)\(", log.read_text(), re.M):
        seen[name] += 1
        if name not in ("execve", "exit_group"):
            found.append((name, seen[name]))
    assert len(found) > most, f"{found}"
    runtime.call("delete", "--force", container.id).ok()
    container.wait()
    return found[::len(found) // most]


@pytest.mark.parametrize("words", [("start",), ("kill", "KILL"), ("delete",), ("delete", "--force"), ("exec", "true"), ("pause",)], ids=" ".join)
def test_a_call_that_is_killed_leaves_what_delete_clears(runtime, nothing_left, words):
    """Every call of a container's life, at one moment after the other: nothing hangs after it, and nothing stays."""
    killed = 0
    for name, number in moments(runtime, words):
        container, argv = ready_for(runtime, words)
        killed += traced(argv, "-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={number}") == -9
        state = runtime.call("state", container.id)
        assert state.exit == 0 or runtime.refused(state), f"{words} killed at {name} {number}"
        if words[0] == "exec":  # what it brought may be ours to reap before the container can end
            container.kill("KILL").wait_with_others()
        runtime.call("delete", "--force", container.id).ok()
        container.wait_with_others()
    assert killed > 5, "it was hardly ever killed"
    nothing_left([runtime])


# --- two at once ----------------------------------------------------------------------------------

CALLS = [("start",), ("kill", "KILL"), ("delete",), ("delete", "--force"), ("exec", "true"), ("pause",), ("state",), ("update", "--pids-limit", "50")]
PAIRS = [(one, other) for number, one in enumerate(CALLS) for other in CALLS[number:]
         if {one[0], other[0]} != {"exec", "pause"}]  # what exec brought may be frozen before it runs: it waits for `resume`


@pytest.mark.parametrize("created", [True, False], ids=["created", "running"])
def test_two_calls_at_once_on_one_id(runtime, nothing_left, created):
    """Each is done or says in one line why not; the container is there as one of the two left it, or isn't."""
    for one, other in PAIRS:
        bundle = runtime.bundle().args("sleep", "1000")
        container = runtime.create(bundle) if created else runtime.started(bundle)
        both = [runtime.popen(*([words[0], *words[1:], container.id] if words[0] in ("delete", "update") else [words[0], container.id, *words[1:]]))
                for words in (one, other)]
        for running in both:
            outcome = running.wait(20)
            killed = outcome.exit == 128 + 9 and "exec" in running.argv  # the program's status
            assert outcome.exit == 0 or killed or runtime.refused(outcome), f"{one} beside {other}"
        state = runtime.call("state", container.id)
        if state.exit == 0:
            assert json.loads(state.out)["status"] in ("created", "running", "paused", "stopped"), f"{one} beside {other}: {state}"
        else:
            assert ("delete", "--force") in (one, other) or ("delete",) in (one, other), f"{one} beside {other}: {state}"
        runtime.call("delete", "--force", container.id).ok()
        container.wait_with_others()
    nothing_left([runtime])
