"""Every limit is enforced and told, in each view of the cgroups."""

import itertools
import os
import re
import resource
from pathlib import Path

import pytest

from lib.patience import patience
from lib.runner import Cloister, descendants, host_pid_of, poll, text
from lib.world import own_cgroups, sandbox_cgroups

EAGAIN, EMFILE, EFBIG, ENOSPC = 11, 24, 27, 28
SIGXFSZ = 25


def numbers(outcome):
    return list(map(int, re.findall(r"\d+", text(outcome.out))))


def applied(record, name):
    """The limit as the record gives it: a number in bytes or ns, or null."""
    for key in (name, f"{name}_bytes", f"{name}_ns"):
        if key in record["limits"]:
            return record["limits"][key]
    raise AssertionError(f"no {name} in limits {record['limits']}")


# memory

def test_memory_ends_the_main_process(limited, rootfs):
    outcome = limited.run(rootfs, "probe", "hog", "300", opts=["--memory", "64m"])
    outcome.ended("oom", 137, hit="memory")
    assert text(outcome.err).startswith("cloister: ") and outcome.err.count(b"\n") == 1 and b"memory" in outcome.err
    assert 24 <= numbers(outcome)[-1] <= 64
    assert 32 << 20 <= outcome.result["usage"]["memory_peak_bytes"] <= 64 << 20


def test_memory_kills_a_child_and_the_main_process_lives(limited, rootfs):
    outcome = limited.run(rootfs, "probe", "childhog", "300", opts=["-m", "64m"])
    outcome.ended("exited", 9, hit="memory")  # the signal that ended the child


def test_memory_within_the_limit_is_fine(limited, rootfs):
    outcome = limited.run(rootfs, "probe", "hog", "40", opts=["--memory", "64m"]).ok()
    outcome.ended("exited", 0)
    assert outcome.result["limits_hit"] == []
    assert outcome.result["usage"]["memory_peak_bytes"] >= 40 << 20


def test_the_default_memory_is_512_mib(cloister, rootfs):
    outcome = cloister.run(rootfs, "probe", "hog", "700")
    if cloister.has_cgroup:
        outcome.ended("oom", 137, hit="memory")
    else:
        outcome.ended("exited", 9)  # the process's own limit: it is told that there is no more
    assert 450 <= numbers(outcome)[-1] <= 512
    assert applied(outcome.result, "memory") == 512 << 20


def test_shared_memory_counts(limited, rootfs):
    outcome = limited.run(rootfs, "sh", "-c", "head -c 200000000 /dev/zero >/dev/shm/f; echo $?", opts=["--memory", "64m"])
    # scratch has a limit of its own, which is below that of memory and so is met first
    assert outcome.lines() == ["1"], str(outcome)
    outcome.ended("exited", 0)
    assert outcome.result["limits_hit"] == ["disk"], str(outcome)


def test_swap_is_none_by_default(limited, rootfs):
    assert applied(limited.run(rootfs, "true").ok().result, "swap") == 0


@pytest.mark.parametrize("opts,swap", [([], 0), (["--swap", "32m"], 32 << 20), (["--memory-swap", "96m"], 32 << 20), (["--memory-swap", "64m"], 0)],
                         ids=["default", "swap", "sum", "sum-without"])
def test_swap_is_set_and_told(limited, rootfs, opts, swap):
    """As the kernel has it: most hosts of tests have no swap that could be used up."""
    with limited.start(rootfs, "probe", "trap", "0", opts=["-m", "64m", *opts]) as running:
        running.expect(b"ready\n")
        (seen,) = [read_memory(path) for path in sandbox_cgroups(host_pid_of(running, "probe")) if (path / "memory.max").exists() or (path / "memory.limit_in_bytes").exists()]
        running.signal(15)
        outcome = running.wait(20).ok()
    assert seen == {"memory": 64 << 20, "swap": swap}
    assert applied(outcome.result, "memory") == 64 << 20 and applied(outcome.result, "swap") == swap


def read_memory(cgroup):
    """Limits of memory and of swap beside it in a cgroup of either version, in bytes."""
    names = ("memory.max", "memory.swap.max") if (cgroup / "memory.max").exists() else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    memory, more = (int((cgroup / name).read_text()) for name in names)
    return {"memory": memory, "swap": more if names[0] == "memory.max" else more - memory}


# cpu

@pytest.mark.measures
@pytest.mark.parametrize("cpus", [0.25, 0.5, 1.0])
def test_cpus_bound_the_use(limited, rootfs, cpus):
    outcome = limited.run(rootfs, "probe", "spin", "2", "4", opts=["--cpus", str(cpus)])
    used = outcome.result["usage"]["cpu_user_ns"] + outcome.result["usage"]["cpu_system_ns"]
    share = used / outcome.result["time_ns"]["run"]
    # the kernel charges by the tick (up to 10 ms on each CPU) in each period of 100 ms
    assert 0.6 * cpus <= share <= cpus + 0.1 * min(2, os.cpu_count()), (share, str(outcome))
    # on a machine with other things to do nobody may have had to hold it back
    assert outcome.result["limits_hit"] == ["cpus"] or share < 0.9 * cpus, str(outcome)


def needs_cpus(world, opts=("--cpus",)):
    if "--cpus" in opts and not world.gives_cpus():
        pytest.skip("systemd gives no cgroup here the controller cpu (src/limits/v2.c)")


THROTTLED = ["--cpus", "0.1", "--pids-limit", "256"]


@pytest.mark.measures
def test_the_end_does_not_wait_for_its_share_of_cpus(limited, rootfs, nothing_left):
    """250 processes that have to end on a tenth of a processor took 10 s."""
    outcome = limited.run(rootfs, "probe", "spin", "0", "250", opts=[*THROTTLED, "--timeout", "2s", "--stop-grace", "0"])
    outcome.ended("timeout", 124, hit="cpus")
    assert 2 <= outcome.seconds < patience(5), str(outcome)


@pytest.mark.measures
@pytest.mark.parametrize("command", ["ps", "prune"])
def test_the_next_command_lets_a_throttled_sandbox_end(limited, rootfs, leaks, command):
    """Its supervisor was killed; whoever sweeps takes the limit away. (Made narrow when all are there, which else takes long.)"""
    with limited.start(rootfs, "probe", "spin", "0", "250", opts=["--cpus", "2"], result=False) as running:
        poll(lambda: len(descendants(running.pid)) > 250, 120, "the processes did not come")
        quotas = [(d / file, text) for d in sandbox_cgroups(descendants(running.pid)[-1]) for file, text in [("cpu.cfs_quota_us", "2000"), ("cpu.max", "2000 100000")]
                  if (d / file).exists()]
        assert len(quotas) == 1, quotas
        quotas[0][0].write_text(quotas[0][1])
        running.process.kill()
        running.process.wait(10)
    limited.call(command)  # prune waits half a second for them, and may then say that they are busy
    poll(lambda: not leaks.strange_processes(), 5, "a throttled sandbox did not end")
    limited.call("prune").ok()
    leaks.check()


def test_cpus_that_suffice_are_no_hit(limited, rootfs, world):
    needs_cpus(world)
    assert limited.run(rootfs, "true", opts=["--cpus", "1.5"]).ok().result["limits_hit"] == []


@pytest.mark.measures
@pytest.mark.parametrize("processes", [1, 4])
def test_cpu_time_ends_all_within_100_ms(limited, rootfs, processes):
    outcome = limited.run(rootfs, "probe", "spin", "0", str(processes), opts=["--cpu-time", "1s", "--timeout", "20s"])
    outcome.ended("cpu_time", 137, hit="cpu_time")
    used = outcome.result["usage"]["cpu_user_ns"] + outcome.result["usage"]["cpu_system_ns"]
    assert 0.99e9 <= used <= 1.1e9 + 0.05e9 * (processes > 1), str(outcome)
    assert b"cpu" in outcome.err.lower()


@pytest.mark.measures
def test_cpu_time_knows_processors_that_its_caller_may_not_use(limited, rootfs, world):
    """The command may widen what a pinned caller has handed down."""
    with world.on_one_processor():
        outcome = limited.run(rootfs, "taskset", "ffffffff", "probe", "spin", "0", "4", opts=["--cpu-time", "1s", "--timeout", "20s"])
    outcome.ended("cpu_time", 137, hit="cpu_time")
    used = outcome.result["usage"]["cpu_user_ns"] + outcome.result["usage"]["cpu_system_ns"]
    assert 0.99e9 <= used <= 1.15e9, str(outcome)


def test_cpu_time_ends_a_spinning_program(limited, rootfs):
    outcome = limited.run(rootfs, "probe", "spin", "0", opts=["--cpu-time", "300ms", "--timeout", "30s"])
    outcome.ended("cpu_time", 137, hit="cpu_time")
    assert outcome.seconds < patience(20)


@pytest.mark.parametrize("number", [9, 24, 25])
def test_a_signal_of_its_own_is_no_limit(everywhere, rootfs, number):
    """SIGKILL, SIGXCPU and SIGXFSZ come from the kernel's limits too, and a program can send them to itself."""
    outcome = everywhere.run(rootfs, "sh", "-c", f"kill -{number} $$", opts=["--cpu-time", "60s"])
    outcome.ended("signaled", 128 + number)
    assert (outcome.result["signal"], outcome.result["limits_hit"]) == (number, []), str(outcome)


def test_cpu_time_does_not_count_sleep(limited, rootfs):
    limited.run(rootfs, "sleep", "1", opts=["--cpu-time", "500ms"]).ok().ended("exited", 0)


def test_cpu_time_counts_processes_that_ended(limited, rootfs):
    script = "while :; do probe spin 0.05; done"
    limited.run(rootfs, "sh", "-c", script, opts=["--cpu-time", "500ms", "--timeout", "30s"]).ended("cpu_time", 137, hit="cpu_time")


# tasks

def test_tasks(limited, rootfs):
    outcome = limited.run(rootfs, "probe", "forks", "100", opts=["--pids-limit", "20"]).ok()
    made, error = numbers(outcome)
    assert error == EAGAIN and 10 <= made < 20
    outcome.ended("exited", 0, hit="tasks")
    assert made <= outcome.result["usage"]["tasks_peak"] <= 20


@pytest.mark.parametrize("opts", [["--pids-limit", "4194303"], ["-m", "1024TiB"], ["-m", "1g", "--memory-swap", "1024TiB"], ["--cpus", "1000"],
                                  ["--cpu-time", "366d"], ["--timeout", "366d", "--stop-grace", "366d"], ["--disk", "1TiB"],
                                  ["--file-size", "1024TiB"], ["--output-limit", "1024TiB"]], ids=lambda opts: opts[-2])
def test_the_most_of_each_is_taken(everywhere, rootfs, world, opts):
    """By the kernel too, whose own bounds may lie near ours."""
    outcome = everywhere.run(rootfs, "true", opts=opts)
    needs_cpus(world, opts)
    if not everywhere.has_cgroup and opts[-2] in ("--cpus", "--memory-swap"):
        outcome.refused("(it needs|they need) a cgroup")
    else:
        outcome.ended("exited", 0)


def test_the_default_tasks_are_256(cloister, rootfs):
    outcome = cloister.run(rootfs, "probe", "forks", "400").ok()
    made, error = numbers(outcome)
    assert error == EAGAIN and 240 <= made < 256
    assert applied(outcome.result, "tasks") == 256


def test_a_fork_bomb_is_held_and_ended(everywhere, rootfs, nothing_left):
    outcome = everywhere.run(rootfs, "probe", "bomb", opts=["--pids-limit", "50", "--timeout", "1s", "--stop-grace", "100ms"], timeout=30)
    outcome.ended("timeout", 124)
    assert ("tasks" in outcome.result["limits_hit"]) == everywhere.has_cgroup, str(outcome)
    nothing_left()


def test_tasks_of_one_sandbox_are_not_anothers(cloister, rootfs):
    with cloister.start(rootfs, "sh", "-c", "probe forks 100; exec probe wait", opts=["--pids-limit", "20"]) as one:
        one.expect(b"ready")
        assert numbers(cloister.run(rootfs, "probe", "forks", "15", opts=["--pids-limit", "20"]).ok()) == [15, 0]


# output

@pytest.mark.parametrize("descriptor", [1, 2])
@pytest.mark.parametrize("limit", [1, 4096, 1_000_000])
def test_output_is_relayed_to_the_exact_byte(everywhere, rootfs, descriptor, limit):
    outcome = everywhere.run(rootfs, "probe", "flood", "0", str(descriptor), opts=["--output-limit", str(limit)], timeout=30)
    outcome.ended("output_limit", 137, hit="output")
    usage = outcome.result["usage"]
    if descriptor == 1:
        assert len(outcome.out) == limit == usage["stdout_bytes"]
        assert text(outcome.err).startswith("cloister: ") and outcome.err.count(b"\n") == 1
    else:
        assert len(outcome.err.split(b"cloister: ")[0].rstrip(b"\n")) <= limit == usage["stderr_bytes"]


def test_output_counts_both(everywhere, rootfs):
    outcome = everywhere.run(rootfs, "sh", "-c", "probe flood 60000 1; probe flood 60000 2; echo late", opts=["--output-limit", "100000"])
    outcome.ended("output_limit", 137, hit="output")
    usage = outcome.result["usage"]
    assert usage["stdout_bytes"] + usage["stderr_bytes"] == 100000
    assert len(outcome.out) == usage["stdout_bytes"]


def test_output_of_exactly_the_limit_is_fine(everywhere, rootfs):
    outcome = everywhere.run(rootfs, "probe", "flood", "100000", opts=["--output-limit", "100000"]).ok()
    outcome.ended("exited", 0)
    assert len(outcome.out) == 100000 and outcome.result["limits_hit"] == []


def test_output_has_no_limit_unless_asked(everywhere, rootfs):
    assert len(everywhere.run(rootfs, "probe", "flood", "40000000").ok().out) == 40_000_000


def test_output_limit_holds_on_a_terminal(everywhere, rootfs):
    outcome = everywhere.run(rootfs, "yes", opts=["-t", "--output-limit", "10000"], timeout=30)
    outcome.ended("output_limit", 137, hit="output")
    assert len(outcome.out) == 10000


# time and disk (more of them in test_time and test_files)

def test_time(everywhere, rootfs, nothing_left):
    outcome = everywhere.run(rootfs, "probe", "spin", "0", opts=["--timeout", "300ms", "--stop-grace", "10ms"])
    outcome.ended("timeout", 124, hit="time")
    assert applied(outcome.result, "time") == 300_000_000
    nothing_left()


@pytest.mark.parametrize("opts", [[], ["--profile", "build"]], ids=["strict", "build"])
@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/dev/shm"])
def test_disk(everywhere, rootfs, place, opts):
    outcome = everywhere.run(rootfs, "probe", "write", f"{place}/f", str(64 << 20), opts=["--disk", "8m", *opts]).ok()
    outcome.ended("exited", 0, hit="disk")
    written, error = numbers(outcome)
    assert error == ENOSPC and 4 << 20 <= written <= 8 << 20, str(outcome)
    assert applied(outcome.result, "disk") == 8 << 20


@pytest.mark.parametrize("opts", [["--writable"], ["--profile", "build"]], ids=["writable", "build"])
@pytest.mark.parametrize("image,place", [("rootfs", "/srv/open"), ("host", "/"), ("rootfs", "/tmp")], ids=["rootfs", "host", "scratch"])
def test_disk_larger_than_memory(limited, rootfs, probe, image, place, opts):
    """Root's scratch lies on a disk then, and with it what is written over the image."""
    script = f"grep ' /tmp ' /proc/mounts; exec /tools/probe write {place}/f {256 << 20}"
    outcome = limited.run(rootfs if image == "rootfs" else "host", "sh", "-c", script,
                          opts=["-m", "32m", "--disk", "96m", "-v", f"{probe.parent}:/tools", *opts]).ok()
    scratch, said = outcome.lines()
    written, error = map(int, re.findall(r"\d+", said))
    assert scratch.startswith("/dev/loop") and error == ENOSPC and 80 << 20 <= written <= 96 << 20, str(outcome)
    assert outcome.result["limits_hit"] == ["disk"] and applied(outcome.result, "disk") == 96 << 20, str(outcome)


# all of them

LIMITS = {"memory": ("-m", "100m", 100 << 20), "swap": ("--swap", "32m", 32 << 20), "cpus": ("--cpus", "0.5", 0.5), "cpu_time": ("--cpu-time", "5s", 5_000_000_000),
          "time": ("--timeout", "9s", 9_000_000_000), "tasks": ("--pids-limit", "30", 30), "disk": ("--disk", "16m", 16 << 20),
          "output": ("--output-limit", "1m", 1 << 20), "open_files": ("--open-files", "50", 50), "file_size": ("--file-size", "2m", 2 << 20)}
NEEDS_CGROUP = {"swap", "cpus"}


def test_every_limit_is_told(everywhere, rootfs, world):
    usable = [name for name in LIMITS if everywhere.has_cgroup or name not in NEEDS_CGROUP]
    if not world.gives_cpus():
        usable.remove("cpus")
    outcome = everywhere.run(rootfs, "true", opts=[word for name in usable for word in LIMITS[name][:2]]).ok()
    assert {name: applied(outcome.result, name) for name in usable} == {name: LIMITS[name][2] for name in usable}
    assert ("limits" in outcome.result["layers"]) == everywhere.has_cgroup
    assert outcome.result["limits_hit"] == []


@pytest.mark.parametrize("name", sorted(NEEDS_CGROUP))
def test_a_limit_that_needs_a_cgroup_is_refused_without(unlimited_user, rootfs, name):
    unlimited_user.run(rootfs, "true", opts=LIMITS[name][:2]).refused(f"--{name}", "--without limits", "(it needs|they need) a cgroup")


# files

def test_open_files(everywhere, rootfs):
    outcome = everywhere.run(rootfs, "probe", "openmany", opts=["--open-files", "64"]).ok()
    assert numbers(outcome) == [61, EMFILE] and applied(outcome.result, "open_files") == 64


def test_the_default_open_files_are_1024(everywhere, rootfs):
    assert numbers(everywhere.run(rootfs, "probe", "openmany").ok()) == [1021, EMFILE]


def test_file_size_by_signal_and_by_error(everywhere, rootfs):
    outcome = everywhere.run(rootfs, "probe", "write", "/tmp/f", "10000000", opts=["--file-size", "1m"])
    outcome.ended("signaled", 128 + SIGXFSZ, hit="file_size")
    assert applied(outcome.result, "file_size") == 1 << 20
    outcome = everywhere.run(rootfs, "probe", "write", "/tmp/f", "10000000", "1", opts=["--file-size", "1m"]).ok()
    assert outcome.word() == f"wrote {1 << 20} errno {EFBIG}"


@pytest.mark.parametrize("name,shell,value", [("nofile", "-n", 77), ("stack", "-s", 1024 * 1024), ("core", "-c", 0), ("fsize", "-f", 512 * 1024),
                                              ("memlock", "-l", 0), ("data", "-d", 64 << 20), ("cpu", "-t", 33)])
def test_ulimit(cloister, rootfs, name, shell, value):
    unit = {"-s": 1024, "-f": 512, "-d": 1024, "-l": 1024}.get(shell, 1)
    outcome = cloister.run(rootfs, "sh", "-c", f"ulimit -S {shell}; ulimit -H {shell}", opts=["--ulimit", f"{name}={value}"])
    assert outcome.ok().lines() == [str(value // unit)] * 2


def test_the_result_tells_ulimits_as_applied(cloister, rootfs):
    """The last one of a name counts, also before --open-files and --file-size."""
    given = ["--open-files", "50", "--ulimit", "nofile=80", "--ulimit", "nofile=60:70", "--file-size", "1m", "--ulimit", "fsize=unlimited", "--ulimit", "stack=1m:2m"]
    outcome = cloister.run(rootfs, "sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -f", opts=given).ok()
    assert outcome.lines() == ["60", "70", "unlimited"]
    limits = outcome.result["limits"]
    assert limits["open_files"] == 60 and limits["file_size_bytes"] is None, limits
    assert limits["ulimits"] == {"nofile": {"soft": 60, "hard": 70}, "fsize": {"soft": "unlimited", "hard": "unlimited"},
                                 "stack": {"soft": 1 << 20, "hard": 2 << 20}}


def test_ulimit_soft_and_hard(cloister, rootfs):
    assert cloister.run(rootfs, "sh", "-c", "ulimit -Sn; ulimit -Hn", opts=["--ulimit", "nofile=50:60"]).ok().lines() == ["50", "60"]


def test_a_limit_cannot_be_raised_again(cloister, rootfs):
    assert cloister.run(rootfs, "sh", "-c", "ulimit -Hn 100000", opts=["--open-files", "64"]).exit != 0


def test_no_core_dumps(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "ulimit -Hc; cd /tmp; probe signal 11; ls -A /tmp")
    assert outcome.lines() == ["0"], str(outcome)


# where there is no cgroup to use

def test_an_ordinary_user_without_a_cgroup_is_told_the_way(world, binary, rootfs, nothing_left):
    if os.environ.get("CLOISTER_DELEGATED") == "user":
        pytest.skip("the user has a cgroup here")
    plain = Cloister(world, binary, "user", without=[])
    plain.run(rootfs, "true").refused("cgroup", "--without limits", "memory and CPU time .* for each process, tasks",
                                      "time, output, disk and open files")
    nothing_left()


def test_what_remains_without_cgroups_is_named(unlimited_user, rootfs):
    record = unlimited_user.run(rootfs, "true", opts=["--pids-limit", "30", "-m", "100m", "--cpu-time", "5s", "--disk", "16m", "--open-files", "50"]).ok().result
    assert "limits" not in record["layers"]
    assert applied(record, "disk") == 16 << 20 and applied(record, "open_files") == 50
    assert applied(record, "time") is not None
    assert record["usage"]["tasks_peak"] is None


def test_rlimits_remain_without_cgroups(unlimited_user, rootfs):
    outcome = unlimited_user.run(rootfs, "probe", "hog", "300", opts=["--memory", "64m"])
    assert outcome.exit == 9 and numbers(outcome)[-1] <= 64, str(outcome)
    outcome = unlimited_user.run(rootfs, "probe", "spin", "0", opts=["--cpu-time", "1s", "--timeout", "20s"])
    assert outcome.seconds < patience(15), str(outcome)
    outcome.ended("cpu_time", 137, hit="cpu_time")
    outcome = unlimited_user.run(rootfs, "probe", "forks", "400", opts=["--pids-limit", "40"]).ok()
    made, error = numbers(outcome)
    assert error == EAGAIN and made < 40


@pytest.fixture
def delegated(world, binary):
    """The ordinary user in cgroups that were handed over, in every hierarchy: others for each run, as scopes are."""
    made = []
    # on v2 a cgroup that holds processes, as ours, gives no controllers to its children
    parents = list(world.cgroups.values())
    if parents == [world.cgroups.get("")]:
        parents = [world.beside]
        if not os.environ.get("CLOISTER_DELEGATED"):
            pytest.skip("the cgroup beside ours is systemd's, and nobody delegated it")
    turns = itertools.count()

    def make(parent, name):
        mine = parent / name
        mine.mkdir()
        made.append(mine)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (mine / name).exists():
                (mine / name).write_text((parent / name).read_text())
        for path in (mine, mine / "cgroup.procs", mine / "tasks", mine / "cgroup.subtree_control", mine / "cgroup.threads"):
            if path.exists():
                os.chown(path, world.user.pw_uid, world.user.pw_gid)
        return mine

    class Delegated(Cloister):
        def prefix(self):
            name = f"delegated-{next(turns)}"
            enter = " ".join(f"echo $$ >{make(parent, name)}/cgroup.procs;" for parent in parents)
            return ["sh", "-c", f'{enter} exec "$@"', "enter", *super().prefix()]

    yield Delegated(world, binary, "user", without=[])
    for mine in made:
        (mine / "cloister-self").is_dir() and (mine / "cloister-self").rmdir()  # stays until systemd takes the scope away
        below = [d for d, _, _ in os.walk(mine)][1:]
        for directory in reversed(below):
            os.rmdir(directory)
        mine.rmdir()
        assert not below, f"cgroups left: {below}"


def test_an_ordinary_user_with_delegated_cgroups_has_every_limit(delegated, rootfs):
    delegated.run(rootfs, "probe", "hog", "300", opts=["--memory", "64m"]).ended("oom", 137, hit="memory")
    outcome = delegated.run(rootfs, "probe", "forks", "100", opts=["--pids-limit", "20"])
    outcome.ended("exited", 0, hit="tasks")
    assert "limits" in outcome.result["layers"]


# how it is done

def test_a_sandbox_has_cgroups_of_its_own_below_the_callers(as_root, rootfs, world):
    with as_root.start(rootfs, "probe", "wait") as running:
        running.expect(b"ready")
        pid = host_pid_of(running, "probe")
        rows = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        own = {names: path for _, names, path in rows}
        if "memory" in own:  # on v2 a cgroup with processes, as ours, has none below: it is beside
            assert all(re.search(r"/cltest-\d+/cloister-[0-9a-z-]+$", own[name]) for name in ("memory", "pids")), own
        else:
            assert re.search(r"/cloister-[0-9a-z-]+$", own[""]), own
        inside = as_root.run(rootfs, "cat", "/proc/self/cgroup").ok().lines()
    assert all(line.split(":", 2)[2].count("cltest") == 0 for line in inside), inside
    assert own_cgroups() == world.cgroups


def test_the_supervisor_is_not_in_the_sandboxs_cgroup(as_root, rootfs):
    with as_root.start(rootfs, "probe", "wait") as running:
        running.expect(b"ready")
        pid = host_pid_of(running, "probe")
        assert Path(f"/proc/{pid}/cgroup").read_text() != Path(f"/proc/{running.pid}/cgroup").read_text()


def test_limits_that_the_caller_has_are_not_lifted(everywhere, rootfs):
    """Nor are they silently kept instead of what was asked for, or is the default."""
    bounded = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))}
    outcome = everywhere.run(rootfs, "sh", "-c", "ulimit -Sn; ulimit -Hn", opts=["--open-files", "512"], **bounded)
    assert outcome.ok().lines() == ["512", "512"]
    for opts, wanted in ((["--open-files", "513"], 513), ([], 1024)):
        everywhere.run(rootfs, "true", opts=opts, **bounded).refused(f"nofile={wanted} is above this process's hard limit, 512")
