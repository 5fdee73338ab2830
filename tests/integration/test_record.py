"""The result record: every key, each way to end."""

import contextlib
import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib.record import USAGE, check_record, moment
from lib.runner import poll, read_result

ENDS = {
    "exited": (["sh", "-c", "echo out; exit 3"], []),
    "signaled": (["probe", "signal", "15"], []),
    "timeout": (["sleep", "60"], ["--timeout", "200ms"]),
    "output_limit": (["yes"], ["--output-limit", "1000"]),
}


@pytest.mark.parametrize("status", ENDS)
def test_every_key_is_there(cloister, rootfs, status):
    command, opts = ENDS[status]
    outcome = cloister.run(rootfs, *command, opts=opts)
    check_record(outcome.ended(status).result)


def test_every_key_is_there_after_an_oom(limited, rootfs):
    check_record(limited.run(rootfs, "probe", "hog", "200", opts=["-m", "32m"]).ended("oom").result)


def test_root_can_measure_everything(limited, rootfs):
    usage = limited.run(rootfs, "sh", "-c", "probe spin 0.5; echo some output; echo err >&2").ok().result["usage"]
    assert all(usage[key] is not None for key in USAGE if not key.startswith("io_")), usage
    # of half a second by the clock: a busy machine gives it a part
    assert 0.05e9 < usage["cpu_user_ns"] + usage["cpu_system_ns"] < 2e9
    assert 100_000 < usage["memory_peak_bytes"] < 100 << 20
    assert 2 <= usage["tasks_peak"] <= 10
    assert (usage["stdout_bytes"], usage["stderr_bytes"]) == (12, 4)


@pytest.mark.parametrize("seconds", [0.015, 0.2])
def test_processor_time_is_no_multiple_of_a_tick(limited, rootfs, seconds):
    """cgroup v1 counts the two kinds of it in ticks, their sum exactly."""
    measured = limited.run("host", "python3", "-c", "import time\nwhile time.process_time() < %s: pass" % seconds).ok().result
    used = measured["usage"]["cpu_user_ns"] + measured["usage"]["cpu_system_ns"]
    assert seconds * 1e9 <= used <= seconds * 1e9 + 0.2e9 and used % 1_000_000 != 0, measured["usage"]
    assert used <= 2 * sum(measured["time_ns"].values()), measured


def test_times_are_plausible(cloister, rootfs):
    outcome = cloister.run(rootfs, "sleep", "0.5").ok()
    spent = outcome.result["time_ns"]
    assert 0.5e9 <= spent["run"] < 2.5e9
    assert sum(spent.values()) <= outcome.seconds * 1e9
    created, ended = moment(outcome.result["created_at"]), moment(outcome.result["ended_at"])
    assert 0.5 <= (ended - created).total_seconds() <= outcome.seconds + 0.01


@pytest.mark.parametrize("limit", ["memory", "tasks", "time", "disk", "open_files"])
def test_limits_are_numbers_as_applied(cloister, rootfs, limit):
    opts = ["-m", "100m", "--pids-limit", "77", "--timeout", "33s", "--disk", "9m", "--open-files", "88"]
    limits = cloister.run(rootfs, "true", opts=opts).ok().result["limits"]
    expected = {"memory": 100 << 20, "tasks": 77, "time": 33_000_000_000, "disk": 9 << 20, "open_files": 88}[limit]
    values = [limits[k] for k in (limit, f"{limit}_bytes", f"{limit}_ns") if k in limits]
    assert values == [expected], limits


def test_a_failure_of_cloister_is_told(cloister, rootfs):
    outcome = cloister.run(rootfs, "/no/such/command")
    assert outcome.exit == 127
    if outcome.result is not None:
        assert outcome.result["status"] == "error" and "/no/such/command" in outcome.result["error"]


@pytest.mark.parametrize("layers", [(), ("landlock",), ("landlock", "selinux", "disk-limit")], ids=lambda layers: "-".join(layers) or "none")
def test_what_the_flags_went_without_is_told(cloister, rootfs, layers):
    """Also of a layer that the host doesn't have: it is what the caller accepted."""
    opts = [word for layer in layers for word in ("--without", layer)]
    record = cloister.run(rootfs, "true", opts=opts).ok().result
    assert set(record["without"]) == {*layers, *cloister.without}
    record = cloister.run(rootfs, "/no/such/command", opts=opts).result
    assert set(record["without"]) == {*layers, *cloister.without}


def test_the_file_is_one_json_object_and_replaces_the_old(cloister, rootfs):
    path = cloister.result_path()
    path.write_text("x" * 100_000)
    path.chmod(0o666)
    cloister.run(rootfs, "true", opts=["--result", path], result=False).ok()
    check_record(json.loads(path.read_text()))


def test_a_result_that_cannot_be_written_is_refused_before_the_run(cloister, rootfs, world):
    marked = world.directory("marked", owner="user")
    outcome = cloister.run(rootfs, "touch", "/data/ran", opts=["--result", "/no/such/directory/result", "-v", f"{marked}:/data:rw"], result=False)
    outcome.refused("/no/such/directory")
    assert not list(marked.iterdir())


def test_the_sandbox_cannot_reach_the_record(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "ls -l /proc/self/fd /proc/1/fd 2>/dev/null; cat /proc/self/mountinfo")
    assert b"result.json" not in outcome.out


@pytest.mark.parametrize("name", ["quote\"name", "ünï"])
def test_words_of_the_caller_are_escaped(cloister, world, probe, rootfs, name):
    """In the image's name, and in the error about a command that is not there."""
    path = world.directory("odd") / f"{name}\n\t\x01"
    (path / "bin").mkdir(parents=True)
    (path / "bin/probe").write_bytes(probe.read_bytes())
    (path / "bin/probe").chmod(0o755)
    assert check_record(cloister.run(f"rootfs:{path}", "/bin/probe", "args").ok().result)["image"] == f"rootfs:{path}"
    outcome = cloister.run(rootfs, f"no-such-{name}\n\t\x01")
    assert outcome.exit == 127 and name in outcome.result["error"], str(outcome)


@pytest.mark.parametrize("opts,needle", [
    (["-m", "0"], "memory"), (["--network", "bridge"], "network"), (["--env-file", "/nonexistent"], "nonexistent"),
    (["--policy", "/nonexistent"], "nonexistent"), (["-u", "nobody-of-that-name"], "user"), (["--no-such-flag"], "no-such-flag"),
    (["--name", "--rm"], "name"), (["-v", "/no/such:/x"], "no/such"), (["--swap", "1g", "--without", "limits"], "swap"),
], ids=lambda value: value[0].strip("-") if isinstance(value, list) else "")
def test_an_earlier_runs_record_is_not_taken_for_this_ones(cloister, rootfs, opts, needle):
    path = cloister.directory() / "result.json"
    cloister.call("run", *sum((["--without", layer] for layer in cloister.without), []), "--result", path, rootfs, "true").ok()
    assert read_result(path)["status"] == "exited"
    without = sum((["--without", layer] for layer in cloister.without if layer not in opts), [])
    cloister.call("run", "--result", path, *without, *opts, rootfs, "true").refused(needle)
    record = read_result(path)
    assert record["status"] == "error" and needle in record["error"] and record["exit_code"] is None, record


def test_a_start_that_fails_has_taken_its_time_for_setup(cloister, rootfs):
    for command, opts in ((["nothing-of-that-name"], []), (["true"], ["-v", "/no/such:/x"])):
        times = cloister.run(rootfs, *command, opts=opts).result["time_ns"]
        assert times["setup"] > 0 and times["run"] == 0, times


@pytest.mark.parametrize("option", ["--policy", "--seccomp", "--result", "--entrypoint"])
def test_what_would_replace_another_is_refused(cloister, rootfs, option):
    one, other = cloister.directory() / "one", cloister.directory() / "other"
    cloister.call("run", option, one, option, other, rootfs, "true").refused(option, "given twice")
    assert not other.exists()


def test_result_does_not_follow_links(cloister, rootfs):
    """The directory may be one that a sandbox writes to."""
    directory = cloister.directory()
    (directory / "real").write_text("as it was")
    (directory / "real").chmod(0o666)
    (directory / "link").symlink_to("real")
    cloister.run(rootfs, "true", opts=["--result", directory / "link"], result=False).refused("symbolic link", "real path")
    assert (directory / "real").read_text() == "as it was"


@pytest.mark.parametrize("way", ["/dev/shm/{0}/link", "/dev/../dev/shm/{0}/link", "/proc/self/root/dev/shm/{0}/link"])
def test_result_follows_no_link_below_the_kernels_directories(cloister, rootfs, way):
    """/dev/shm is everybody's, whatever else /dev holds."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        directory = Path(place)
        (directory / "real").write_text("as it was")
        (directory / "real").chmod(0o666)
        (directory / "link").symlink_to("real")
        os.chown(directory, cloister.uid, cloister.gid)
        outcome = cloister.run(rootfs, "true", opts=["--result", way.format(directory.name)], result=False)
        outcome.refused("symbolic link")
        assert (directory / "real").read_text() == "as it was"


@pytest.mark.parametrize("name", ["/dev/fd/2", "/proc/self/fd/2"])
def test_result_on_a_descriptor(cloister, rootfs, name):
    check_record(json.loads(cloister.run(rootfs, "true", opts=["--result", name], result=False).ok().err))


def test_result_on_standard_error(cloister, rootfs):
    """/dev/stderr is a link, and the kernel's own. The pipe behind it is root's, as after sudo -u."""
    outcome = cloister.run(rootfs, "true", opts=["--result", "/dev/stderr"], result=False).ok()
    check_record(json.loads(outcome.err))


def test_result_on_a_socket(cloister, rootfs):
    """As a service's standard error is one, of the journal's."""
    ours, its = socket.socketpair()
    with ours, its, ours.makefile() as came:
        cloister.run(rootfs, "true", opts=["--result", "/dev/stderr"], result=False, stderr=its).ok()
        its.close()
        check_record(json.load(came))


@pytest.mark.parametrize("name", ["/dev/stderr", "/dev/fd/2"])
def test_result_in_the_callers_log_is_appended(cloister, rootfs, world, name):
    """Opened anew the log would be emptied, and what is written to it next would fall into the record."""
    log = world.directory("log") / "log"
    with open(log, "w", encoding="utf-8") as stream:
        stream.write("before\n")
        stream.flush()
        cloister.run(rootfs, "sh", "-c", "echo said >&2", opts=["--result", name], result=False, stderr=stream).ok()
        stream.write("after\n")
    lines = log.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("before", "said", "after")
    check_record(json.loads("".join(lines[2:-1])))


def test_result_on_a_descriptor_for_reading_is_refused(cloister, rootfs, world):
    with open("/etc/hostname", "rb") as readable:
        outcome = cloister.call("run", "--result", f"/dev/fd/{readable.fileno()}", rootfs, "echo", "ran", pass_fds=[readable.fileno()])
    outcome.refused("result file", "Bad file descriptor")


POLLS = ("7", "271", "73")  # poll and ppoll, by number, and not the supervisor's epoll


@pytest.fixture(params=["own", "anothers"])
def waiting(request, cloister, as_root, as_user, rootfs):
    """A run whose record finds a full pipe, and that pipe's other end."""
    reader, writer = os.pipe()
    owner = cloister if request.param == "own" else as_root if cloister is as_user else as_user
    os.fchown(writer, owner.uid, owner.gid)
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    argv = cloister.argv("run", *(word for layer in cloister.without for word in ("--without", layer)),
                         "--result", f"/dev/fd/{writer}", rootfs, "echo", "done")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[writer]) as process:
        os.close(writer)
        assert process.stdout.readline() == b"done\n"
        poll(lambda: Path(f"/proc/{process.pid}/syscall").read_text().split()[0] in POLLS, 20, "the record never came")
        with open(reader, "rb") as pipe:
            yield process, pipe
        process.kill()


def test_result_waits_for_a_reader(waiting):
    process, pipe = waiting
    record = pipe.read().lstrip(b"x")
    assert process.wait(20) == 0, process.stderr.read()
    check_record(json.loads(record))


def test_who_waits_for_a_reader_can_be_ended(waiting):
    """The sandbox is gone, whose signals cloister had taken over."""
    process, _ = waiting
    process.terminate()
    assert process.wait(20) == -15
