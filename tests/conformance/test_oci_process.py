"""process: user, environment, working directory, arguments, capabilities, limits. config.md and what engines rely on."""

import os
import re
import resource
import signal
from pathlib import Path

import pytest

from lib import oci_bundle
from lib.runner import text

WAITS = "echo began; exec sleep 1000"
LIMITS = {"RLIMIT_AS": "Max address space", "RLIMIT_CORE": "Max core file size", "RLIMIT_CPU": "Max cpu time", "RLIMIT_DATA": "Max data size",
          "RLIMIT_FSIZE": "Max file size", "RLIMIT_LOCKS": "Max file locks", "RLIMIT_MEMLOCK": "Max locked memory",
          "RLIMIT_MSGQUEUE": "Max msgqueue size", "RLIMIT_NICE": "Max nice priority", "RLIMIT_NOFILE": "Max open files",
          "RLIMIT_NPROC": "Max processes", "RLIMIT_RSS": "Max resident set", "RLIMIT_RTPRIO": "Max realtime priority",
          "RLIMIT_RTTIME": "Max realtime timeout", "RLIMIT_SIGPENDING": "Max pending signals", "RLIMIT_STACK": "Max stack size"}
CAPABILITY_NUMBERS = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_NET_BIND_SERVICE": 10,
                      "CAP_NET_RAW": 13, "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21, "CAP_CHECKPOINT_RESTORE": 40}


def bits(*names):
    return sum(1 << CAPABILITY_NUMBERS[name] for name in names)


def capability_sets(container):
    return {name: int(container.status_field(f"Cap{name}"), 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}


def limits(container):
    """{its name in /proc: (soft, hard)}."""
    found = {}
    for line in container.file("limits").splitlines()[1:]:
        name, soft, hard = re.fullmatch(r"(.+?)\s{2,}(\S+)\s+(\S+)\s*\S*\s*", line).groups()
        found[name] = (soft, hard)
    return found


# user

@pytest.mark.parametrize("high", [99999, 4294967294])
def test_user_and_groups(runtime, high):
    """Also such as no account has."""
    bundle = runtime.bundle().sh("grep -E '^([UG]id|Groups)' /proc/self/status")
    bundle.process["user"] = {"uid": high, "gid": high - 1, "additionalGids": [5, high - 2, 20]}
    uid, gid, groups = (line.split()[1:] for line in runtime.output(bundle).splitlines())
    assert uid == [str(high)] * 4 and gid == [str(high - 1)] * 4
    assert sorted(groups, key=int) == ["5", "20", str(high - 2)]


def test_groups_of_the_caller_do_not_come_in(runtime):
    bundle = runtime.bundle().sh("grep Groups /proc/self/status")
    outcome = runtime.run(bundle, preexec_fn=lambda: os.setgroups([3, 4, 27]))
    assert outcome.ok().out.split() == [b"Groups:"]


@pytest.mark.parametrize("mask", [0, 0o22, 0o27, 0o77, 0o777])
def test_umask(anyone, mask):
    bundle = anyone.bundle().sh("umask")
    bundle.process["user"]["umask"] = mask
    assert anyone.output(bundle) == f"{mask:04o}\n"


@pytest.mark.parametrize("mask", [0, 0o22], ids=oct)
def test_umask_that_is_not_given(anyone, mask):
    """Engines' daemons have 0 or 0022, and their containers always 0022, though config.md has the caller's."""
    outcome = anyone.run(anyone.bundle().sh("umask"), preexec_fn=lambda: os.umask(mask))
    assert outcome.ok().out == b"0022\n"


@pytest.mark.parametrize("field, value", [("uid", -1), ("uid", "0"), ("uid", 4294967296), ("gid", 1.5), ("additionalGids", [-1]), ("additionalGids", "5"),
                                          ("umask", -1)])
def test_users_that_are_none(runtime, field, value):
    bundle = runtime.bundle().set(f"process.user.{field}", value)
    runtime.rejects(bundle, field=f"process.user.{field}")


def test_a_user_that_a_user_namespace_has_not(anyone):
    if anyone.identity == "root":
        bundle = anyone.bundle(own_rootfs=True).map_ids(100000, 100000, 1000)
        os.chown(bundle.rootfs, 100000, 100000)
    else:
        bundle = anyone.bundle()
    bundle.process["user"] = {"uid": 5000, "gid": 0}
    outcome = anyone.run(bundle)
    anyone.refused(outcome, "invalid argument|mapped|map", field="process.user")


# environment and arguments

def test_the_environment_is_what_is_given(anyone):
    values = [oci_bundle.PATH, "EMPTY=", "EQUALS=a=b=c", "SPACE=a b ", "UTF=ünï€", "LINES=a\nb", "LONG=" + "x" * 50_000, "HOME=/root"]
    bundle = anyone.bundle().args("cat", "/proc/self/environ")
    bundle.process["env"] = values
    assert anyone.run(bundle, env={"OF_THE_CALLER": "secret"}).ok().out.decode().split("\0")[:-1] == values


@pytest.mark.parametrize("uid, home", [(0, "/root"), (1000, "/home/plain"), (4711, "/")])
def test_a_home_that_is_not_given_is_that_of_the_account(runtime, uid, home):
    """Which engines leave to the runtime; / for a user without one."""
    bundle = runtime.bundle().sh('echo "$HOME"')
    bundle.process["user"]["uid"] = uid
    assert runtime.output(bundle) == f"{home}\n"


def test_an_environment_that_is_absent(anyone):
    bundle = anyone.bundle().args("/bin/cat", "/proc/self/environ").remove("process.env")
    assert [word for word in anyone.output(bundle).split("\0") if word and not word.startswith("HOME=")] == []


def test_the_path_that_is_searched_is_the_containers(anyone):
    bundle = anyone.bundle().args("found")
    programs = anyone.directory("programs")
    (programs / "found").write_text("#!/bin/sh\necho found\n")
    (programs / "found").chmod(0o755)
    bundle.mount("/srv", programs.parent, "bind", "ro")
    bundle.process["env"] = [f"PATH=/nowhere:/srv/{programs.name}"]
    assert anyone.output(bundle) == "found\n"


def test_arguments_arrive_as_they_are(anyone):
    words = ["sh", "-c", "cat /proc/$$/cmdline; true", "", "a b", "$HOME", "*", "-x", "ünï", "line\nbreak", "y" * 100_000]
    assert anyone.output(anyone.bundle().args(*words)).split("\0")[:-1] == words


def test_a_first_argument_that_is_relative_with_a_slash(anyone):
    bundle = anyone.bundle().args("bin/echo", "relative")
    assert anyone.output(bundle) == "relative\n"


MISSING = "no such file or directory|executable file.* not found"


@pytest.mark.parametrize("command, needles", [("no-such-program", "executable file.* not found|no such file or directory"), ("/no/such/program", MISSING),
                                              ("/bin/not-executable", "permission denied"), ("not-executable", "permission denied|" + MISSING),
                                              ("/etc", "permission denied|is a directory"), ("", MISSING + "|permission denied|empty")])
def test_programs_that_cannot_be_started_fail_create(anyone, command, needles, nothing_left):
    """With the words by which engines choose between 126 and 127."""
    anyone.rejects(anyone.bundle().args(command), needles)
    nothing_left([anyone])


@pytest.mark.parametrize("command, needle", [("/bin/bad-format", "exec format error"), ("/bin/bad-interpreter", "no such file or directory")])
def test_programs_that_the_kernel_refuses(anyone, command, needle, nothing_left):
    """Found out by exec itself: at start, or earlier."""
    bundle = anyone.bundle().args(command)
    outcome = anyone.run(bundle)
    assert outcome.exit not in (0, None) and re.search(needle, text(outcome.err), re.IGNORECASE), f"{outcome}"
    nothing_left([anyone])


def test_a_start_whose_exec_fails_is_told(anyone):
    """Either start says so, or the first process: what it says, and that it ended with a failure."""
    container = anyone.create(anyone.bundle().args("/bin/bad-format"))
    outcome = container.call("start")
    assert container.wait() != 0
    assert re.search("exec format error", text(outcome.err + container.err), re.IGNORECASE), f"{outcome}\n{container.err!r}"
    container.is_now("stopped")


@pytest.mark.parametrize("value", [[], None, "sh", [1], [None]])
def test_arguments_that_are_none(anyone, value):
    anyone.rejects(anyone.bundle().set("process.args", value), field="process.args")


@pytest.mark.parametrize("status", [0, 1, 42, 126, 127, 255])
def test_the_exit_status_of_run_is_the_programs(anyone, status):
    assert anyone.run(anyone.bundle().sh(f"exit {status}")).exit == status


@pytest.mark.parametrize("number", [9, 15, 6])
def test_the_exit_status_of_run_after_a_signal(runtime, number):
    bundle = runtime.bundle().without_namespace("pid").sh(f"kill -{number} $$")
    assert runtime.run(bundle).exit == 128 + number


def test_standard_streams_are_the_callers(anyone):
    bundle = anyone.bundle().sh("cat; echo oops >&2")
    outcome = anyone.run(bundle, input=b"through\n")
    assert (outcome.exit, outcome.out, outcome.err) == (0, b"through\n", b"oops\n")


def test_run_in_the_foreground_hands_signals_on(anyone):
    bundle = anyone.bundle().sh("trap 'echo got term; exit 9' TERM; echo began; while :; do sleep 0.05; done")
    running = anyone.start_run(bundle)
    running.expect(b"began\n")
    running.signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.exit, outcome.out) == (9, b"began\ngot term\n"), f"{outcome}"


def test_run_leaves_nothing_behind(anyone, nothing_left):
    identifier = anyone.new_id()
    assert anyone.run(anyone.bundle().sh("exit 4"), identifier=identifier).exit == 4
    assert anyone.left_of(identifier) == []
    nothing_left([anyone])


def test_run_with_keep_leaves_the_container(anyone):
    identifier = anyone.new_id()
    assert anyone.run(anyone.bundle().sh("exit 4"), "--keep", identifier=identifier).exit == 4
    assert anyone.call("state", identifier).ok().out.count(b'"stopped"') == 1
    anyone.call("delete", identifier).ok()


def test_run_detached(anyone):
    container = anyone.start_detached(anyone.bundle().sh(WAITS))
    container.expect(b"began\n")
    container.is_now("running")
    container.kill("KILL")
    assert container.wait() == 128 + 9
    container.is_now("stopped")


def test_another_configuration_file(anyone):
    bundle = anyone.bundle().sh("echo other").write()
    other = bundle.directory / "other.json"
    bundle.path.rename(other)
    outcome = anyone.call("run", "--bundle", bundle.directory, "--config", other, anyone.new_id())
    assert outcome.ok().out == b"other\n"


# cwd

@pytest.mark.parametrize("place", ["/", "/tmp", "/home/plain", "/etc/../tmp", "/tmp/"])
def test_working_directory(anyone, place):
    bundle = anyone.bundle().sh("readlink /proc/self/cwd").set("process.cwd", place)
    assert anyone.output(bundle) == os.path.normpath(place) + "\n"


def test_a_working_directory_that_is_missing_is_made(anyone):
    """Not in the specification's text: engines count on it for an image's WORKDIR."""
    bundle = anyone.bundle(own_rootfs=True).sh("pwd; stat -c %a .").set("process.cwd", "/made/by/runtime")
    assert anyone.output(bundle) == "/made/by/runtime\n755\n"


@pytest.mark.parametrize("value", ["", "tmp", "./tmp", None, 5])
def test_working_directories_that_are_none(anyone, value):
    anyone.rejects(anyone.bundle().set("process.cwd", value), field="process.cwd")


def test_a_working_directory_that_is_absent(anyone):
    anyone.rejects(anyone.bundle().remove("process.cwd"), field="process.cwd")


def test_a_working_directory_that_is_a_file(anyone, nothing_left):
    anyone.rejects(anyone.bundle().set("process.cwd", "/etc/passwd"), "not a directory|file exists", field="process.cwd")
    nothing_left([anyone])


def test_a_working_directory_of_the_users_own(runtime):
    """Whom alone it lets in: root of the container lacks DAC_OVERRIDE and DAC_READ_SEARCH here."""
    bundle = runtime.bundle(own_rootfs=True).capabilities().sh("pwd")
    place = bundle.rootfs / "home/plain/closed"
    place.mkdir()
    os.chown(place, 1000, 1000)
    place.chmod(0o700)
    bundle.process.update(user={"uid": 1000, "gid": 1000}, cwd="/home/plain/closed")
    assert runtime.output(bundle) == "/home/plain/closed\n"


@pytest.mark.parametrize("number", range(3, 12))
def test_a_working_directory_that_is_a_descriptor_of_the_runtime(runtime, number):
    bundle = runtime.bundle().sh("ls ../../../../../../; cat ../../../../../../etc/image-file").set("process.cwd", f"/proc/self/fd/{number}")
    outcome = runtime.run(bundle)
    if outcome.exit == 0:
        assert b"image\n" in outcome.out, f"it is outside: {outcome}"
    else:
        assert b"vmlinuz" not in outcome.out and b"boot" not in outcome.out, f"{outcome}"


# capabilities

def test_bounding_and_inheritable_capabilities(anyone, waiting):
    bundle = anyone.bundle().capabilities(bounding=["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], inheritable=["CAP_KILL"],
                                          permitted=["CAP_CHOWN", "CAP_KILL"], effective=["CAP_CHOWN"])
    found = capability_sets(waiting(anyone, bundle))
    assert found["Bnd"] == bits("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW")
    assert found["Inh"] == bits("CAP_KILL")
    assert found["Amb"] == 0
    assert found["Prm"] == found["Eff"] == found["Bnd"], "what exec gives to root: capabilities(7)"


def test_ambient_capabilities_of_an_ordinary_user(runtime, waiting):
    names = ["CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT"]
    bundle = runtime.bundle().capabilities(**{kind: names for kind in ("bounding", "inheritable", "permitted", "effective", "ambient")})
    bundle.capabilities(bounding=[*names, "CAP_CHOWN"], inheritable=names, permitted=names, effective=names, ambient=names)
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    found = capability_sets(waiting(runtime, bundle))
    assert found == {"Inh": bits(*names), "Prm": bits(*names), "Eff": bits(*names), "Amb": bits(*names), "Bnd": bits(*names, "CAP_CHOWN")}


def test_an_ordinary_user_has_none_without_ambient_ones(runtime, waiting):
    names = ["CAP_CHOWN", "CAP_NET_RAW"]
    bundle = runtime.bundle().capabilities(bounding=names, permitted=names, effective=names)
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert capability_sets(waiting(runtime, bundle)) == {"Inh": 0, "Prm": 0, "Eff": 0, "Amb": 0, "Bnd": bits(*names)}


@pytest.mark.parametrize("form", ["empty", "absent"])
def test_no_capabilities(anyone, form, waiting):
    bundle = anyone.bundle().capabilities()
    if form == "absent":
        bundle.remove("process.capabilities")
    assert capability_sets(waiting(anyone, bundle)) == {"Inh": 0, "Prm": 0, "Eff": 0, "Amb": 0, "Bnd": 0}


def test_dockers_capabilities(runtime, waiting):
    found = capability_sets(waiting(runtime, runtime.bundle()))
    assert found == {"Inh": 0, "Prm": 0xA80425FB, "Eff": 0xA80425FB, "Bnd": 0xA80425FB, "Amb": 0}


def test_all_of_the_kernels_capabilities(runtime, waiting):
    """As --privileged has it, as far as this root has them."""
    with open("/proc/self/status") as lines:
        mine = int(next(line for line in lines if line.startswith("CapBnd")).split()[1], 16)
    names = [name for number, name in enumerate(ALL_CAPABILITIES) if mine >> number & 1]
    bundle = runtime.bundle().capabilities(bounding=names, permitted=names, effective=names)
    assert capability_sets(waiting(runtime, bundle))["Eff"] == mine


ALL_CAPABILITIES = ["CAP_" + name for name in (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN "
    "NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON "
    "BPF CHECKPOINT_RESTORE").split()]


@pytest.mark.parametrize("name", ["CAP_OF_THE_FUTURE", "CHOWN", "cap_chown"])
def test_capabilities_that_are_none_are_ignored(anyone, name):
    """Any value which cannot be mapped to a relevant kernel interface MUST be logged as a warning; SHOULD NOT fail."""
    bundle = anyone.bundle().capabilities(bounding=[name, "CAP_KILL"], permitted=[name], effective=[name]).sh("grep CapBnd /proc/self/status")
    assert int(anyone.output(bundle).split()[-1], 16) & ~bits("CAP_CHOWN") == bits("CAP_KILL")


def test_an_ambient_capability_that_cannot_be_is_ignored(anyone):
    """It isn't inheritable: it cannot be granted, which SHOULD NOT fail."""
    bundle = anyone.bundle().capabilities(bounding=["CAP_KILL"], permitted=["CAP_KILL"], effective=["CAP_KILL"], ambient=["CAP_KILL"])
    assert anyone.output(bundle.sh("grep CapAmb /proc/self/status")).split()[-1].strip("0") == ""


@pytest.mark.parametrize("value", [["CAP_CHOWN"], {"bounding": "CAP_CHOWN"}, {"bounding": [5]}, "all"])
def test_capabilities_of_a_wrong_type(anyone, value):
    anyone.rejects(anyone.bundle().set("process.capabilities", value), field="process.capabilities")


@pytest.mark.parametrize("value", [True, False, None])
def test_no_new_privileges(anyone, value, waiting):
    bundle = anyone.bundle()
    if value is not None:
        bundle.set("process.noNewPrivileges", value)
    assert waiting(anyone, bundle).status_field("NoNewPrivs") == ("1" if value else "0")


# limits

@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_limits_of_resources(anyone, kind, waiting):
    """Each of getrlimit(2)'s, soft and hard, lower than ours."""
    number = getattr(resource, kind, None)
    _, most = resource.getrlimit(number) if number is not None else (0, -1)
    high = 16 << 30 if kind in ("RLIMIT_AS", "RLIMIT_DATA") else 128 << 20  # a runtime in Go needs much of those
    values = (high // 2, high) if most == -1 or most > high else (most // 2, most)
    bundle = anyone.bundle().set("process.rlimits", [{"type": kind, "soft": values[0], "hard": values[1]}])
    assert limits(waiting(anyone, bundle))[LIMITS[kind]] == (str(values[0]), str(values[1]))


def test_a_limit_of_none(anyone, waiting):
    infinity = 0xFFFFFFFFFFFFFFFF
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    bundle = anyone.bundle().set("process.rlimits", [{"type": "RLIMIT_FSIZE", "soft": 10_000_000, "hard": infinity},
                                                     {"type": "RLIMIT_CPU", "soft": infinity, "hard": infinity}])
    found = limits(waiting(anyone, bundle))
    assert found["Max file size"] == ("10000000", "unlimited") and found["Max cpu time"] == ("unlimited", "unlimited")


def test_limits_that_are_not_named_are_the_callers(anyone):
    bundle = anyone.bundle().remove("process.rlimits").sh(WAITS)
    container = anyone.create(bundle, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (333, 444)))
    container.start()
    container.expect(b"began\n")
    assert limits(container)["Max open files"] == ("333", "444")


@pytest.mark.parametrize("rows", [[{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}], [{"type": "NOFILE", "soft": 1, "hard": 1}],
                                  [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64}] * 2,
                                  [{"type": "RLIMIT_NOFILE", "soft": 65, "hard": 64}], [{"type": "RLIMIT_NOFILE", "soft": -1, "hard": 64}],
                                  [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": "64"}],
                                  [{"soft": 64, "hard": 64}], {"type": "RLIMIT_NOFILE"}],
                         ids=["unknown", "no-prefix", "twice", "soft-above-hard", "negative", "string", "no-type", "object"])
def test_limits_that_are_none(runtime, rows):
    runtime.rejects(runtime.bundle().set("process.rlimits", rows), field="process.rlimits")


def test_the_score_for_the_oom_killer(anyone, waiting):
    assert waiting(anyone, anyone.bundle().set("process.oomScoreAdj", 777)).file("oom_score_adj") == "777\n"


def test_a_score_that_is_not_given_is_the_callers(anyone):
    def give():
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("321")
    container = anyone.create(anyone.bundle().remove("process.oomScoreAdj").sh(WAITS), preexec_fn=give)
    container.start()
    container.expect(b"began\n")
    assert container.file("oom_score_adj") == "321\n"


@pytest.mark.parametrize("value", [1001, -1001, "5", 1.5, 99999999999])
def test_scores_that_are_none(runtime, value):
    runtime.rejects(runtime.bundle().set("process.oomScoreAdj", value), field="process.oomScoreAdj")


# I/O priority, scheduler, personality

@pytest.mark.parametrize("kind, priority, shown", [("IOPRIO_CLASS_BE", 5, "best-effort: prio 5"), ("IOPRIO_CLASS_IDLE", 0, "idle"),
                                                   ("IOPRIO_CLASS_RT", 3, "realtime: prio 3")])
def test_io_priority(runtime, kind, priority, shown):
    bundle = runtime.bundle().sh("ionice -p $$").set("process.ioPriority", {"class": kind, "priority": priority})
    assert runtime.output(bundle).strip().startswith(shown)


@pytest.mark.parametrize("value", [{"class": "IOPRIO_CLASS_NONE_SUCH", "priority": 1}, {"class": "IOPRIO_CLASS_BE", "priority": 8},
                                   {"class": "IOPRIO_CLASS_BE", "priority": -1}, {"priority": 1}, "high"])
def test_io_priorities_that_are_none(runtime, value):
    runtime.rejects(runtime.bundle().set("process.ioPriority", value), field="process.ioPriority")


def leave_cpu_cgroup():
    """v1's cpu controller gives real time to no cgroup that hasn't asked for a share of it; the tests' own hasn't."""
    try:
        Path("/sys/fs/cgroup/cpu/tasks").write_text(str(os.getpid()))
    except OSError:
        pass  # another layout, in which everybody has it


@pytest.mark.parametrize("fields, policy, priority, nice", [
    ({"policy": "SCHED_BATCH", "nice": 7}, "SCHED_BATCH", 0, 7), ({"policy": "SCHED_IDLE"}, "SCHED_IDLE", 0, None),
    ({"policy": "SCHED_OTHER", "nice": 11}, "SCHED_OTHER", 0, 11), ({"policy": "SCHED_FIFO", "priority": 3}, "SCHED_FIFO", 3, None),
    ({"policy": "SCHED_RR", "priority": 4, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, "SCHED_RR", 4, None)], ids=lambda value: str(value)[:20])
def test_scheduler(runtime, fields, policy, priority, nice, waiting):
    bundle = runtime.bundle().set("process.scheduler", fields)
    if policy in ("SCHED_FIFO", "SCHED_RR"):
        runtime.options = ["--cgroup-manager=disabled"]
    container = runtime.started(bundle.args("sleep", "1000"), preexec_fn=leave_cpu_cgroup)
    found = os.sched_getscheduler(container.pid)
    assert found & ~os.SCHED_RESET_ON_FORK == getattr(os, policy)
    assert bool(found & os.SCHED_RESET_ON_FORK) == ("flags" in fields)
    assert os.sched_getparam(container.pid).sched_priority == priority
    assert nice is None or os.getpriority(os.PRIO_PROCESS, container.pid) == nice


def test_scheduler_with_deadlines(runtime):
    fields = {"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 20_000_000, "period": 20_000_000}
    runtime.refused(runtime.run(runtime.bundle().set("process.scheduler", {**fields, "runtime": 30_000_000})), field="process.scheduler")
    # a task with a deadline may not fork: the program itself is what sleeps
    container = runtime.started(runtime.bundle().args("sleep", "1000").set("process.scheduler", fields))
    assert os.sched_getscheduler(container.pid) == 6


@pytest.mark.parametrize("fields", [{"policy": "SCHED_NOSUCH"}, {"nice": 1}, {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NOSUCH"]},
                                    {"policy": "SCHED_FIFO", "priority": 100}, {"policy": "SCHED_OTHER", "nice": "1"}, "fast"], ids=str)
def test_schedulers_that_are_none(runtime, fields):
    runtime.rejects(runtime.bundle().set("process.scheduler", fields), field="process.scheduler")


@pytest.mark.parametrize("domain", ["LINUX32", "LINUX"])
def test_personality(anyone, domain):
    own = os.uname().machine
    machine = own if domain == "LINUX" else {"x86_64": "i686", "aarch64": "armv8l"}[own]
    bundle = anyone.bundle().args("uname", "-m").set("linux.personality", {"domain": domain})
    assert anyone.output(bundle) == f"{machine}\n"


@pytest.mark.parametrize("value", [{"domain": "LINUX64"}, {}, {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}, "LINUX"], ids=str)
def test_personalities_that_are_none(runtime, value):
    runtime.rejects(runtime.bundle().set("linux.personality", value), field="linux.personality")


# labels of security modules that this kernel hasn't

def test_a_profile_of_an_apparmor_that_is_not_there(runtime):
    if os.path.exists("/sys/module/apparmor/parameters/enabled"):
        pytest.skip("AppArmor is there")
    runtime.rejects(runtime.bundle().set("process.apparmorProfile", "docker-default"), "apparmor", field="process.apparmorProfile")


def test_a_label_of_an_selinux_that_is_not_there(runtime):
    if os.path.exists("/sys/fs/selinux/enforce"):
        pytest.skip("SELinux is there")
    runtime.rejects(runtime.bundle().set("process.selinuxLabel", "system_u:system_r:container_t:s0"), "selinux", field="process.selinuxLabel")
