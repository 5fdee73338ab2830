"""job run: the steps of a file, one after the other in one sandbox."""

import json
import os
import re
import signal
from datetime import datetime

import pytest

from lib.jobs import Job, statuses, steps
from lib.patience import patience
from lib.runner import alive, descendants, poll, text
from lib.terminal import Terminal

STEP_KEYS = ["name", "status", "allow_failure", "exit_code", "signal", "started_at", "ended_at", "time_ns", "error"]
JOB_KEYS = ["job", "name", "id", "image", "tenant", "status", "exit_status", "error", "started_at", "ended_at", "time_ns",
            "steps", "artifacts", "sandbox"]


@pytest.fixture
def job(cloister, rootfs, nothing_left):
    def make(*texts, **keys):
        spec = {"image": str(rootfs), "steps": steps(*texts), **keys}
        return Job(cloister, spec)
    return make


def ended_by_us(outcome):
    """The sandbox was asked to end when the job was done with it."""
    result = outcome.result["sandbox"]["result"]
    return (result["status"], result["signal"]) == ("signaled", signal.SIGTERM)


def sandboxes(cloister):
    return text(cloister.call("ps", "-a", "--format", "json").ok().out)


# --- the file -----------------------------------------------------------------------------


@pytest.mark.parametrize("file, place", [
    ("image: host\nsteps: [{name: a, rum: b}]", r"job.yaml:2:19: steps\[0\].rum: unknown key \(did you mean run\?\)"),
    ("image: host\nsteps: [{name: a, run: b}]\npolicy:\n  limits: {tim: 3}",
     r"job.yaml:4:12: policy.limits.tim: unknown key \(did you mean limits.time\?\)"),
    ("image: host", r"job.yaml:1:1: a job needs steps"),
    ("image: [", r"job.yaml:"),
    ("", r"the job's file is empty"),
    ('{"image": "host", "steps": [{"name": "a", "run": "b"}], "artifacts": ["../x"]}', r"job.yaml:1:\d+: artifacts\[0\]: expected an absolute path"),
], ids=["key", "policy", "steps", "yaml", "empty", "json"])
def test_what_is_wrong_in_a_file_is_told_with_its_place(cloister, file, place, nothing_left):
    job = Job(cloister, file)
    outcome = job.run().refused(place)
    assert outcome.result["status"] == "error" and outcome.result["exit_status"] == 125
    assert re.search(place, outcome.result["error"]) and outcome.result["sandbox"] is None and outcome.result["id"] is None


def test_what_is_wrong_on_the_line_is_told(cloister, nothing_left):
    cloister.call("job").refused("expected run", "cloister job run FILE")
    cloister.call("job", "walk", "x").refused("expected run")
    cloister.call("job", "run").refused("no file named")
    cloister.call("job", "run", "a", "b").refused("one file at a time", '"b"')
    cloister.call("job", "run", "/no/such").refused("/no/such", "No such file")
    cloister.call("job", "run", "/dev/zero").refused("/dev/zero", "regular file")
    cloister.call("job", "run", "--keep-goin", "x").refused("did you mean --keep-going")


def test_a_policy_that_can_not_be_is_told_before_anything_runs(job):
    outcome = job("echo never", policy={"wall": "vm"}).run().refused("wall", "not built yet")
    assert outcome.result["status"] == "error" and statuses(outcome) == ["skipped"]


def test_an_image_that_is_not_there(cloister, nothing_left):
    outcome = Job(cloister, {"image": "rootfs:/no/such", "steps": steps("true")}).run()
    assert outcome.exit == 125 and outcome.result["image"] == "rootfs:/no/such", str(outcome)
    assert "/no/such" in outcome.result["error"]


# --- steps ----------------------------------------------------------------------------------


def test_steps_share_one_sandbox_and_its_files(job):
    outcome = job("echo one >/tmp/f; readlink /proc/self/ns/pid", "cat /tmp/f; readlink /proc/self/ns/pid; sleep 1000 &", "ps | grep -c '[s]leep 1000'").run().ok()
    first, one, second, count = outcome.lines()
    assert (one, count) == ("one", "1") and first == second
    assert statuses(outcome) == ["passed"] * 3


def test_a_text_is_the_shells_and_stops_at_its_first_failure(job):
    outcome = job("echo a; false; echo b").run()
    assert outcome.exit == 1 and outcome.out == b"a\n", str(outcome)


def test_words_are_executed_without_a_shell(cloister, rootfs, nothing_left):
    job = Job(cloister, {"image": str(rootfs), "steps": [{"name": "w", "command": ["echo", "$HOME", "a b", ""]}]})
    assert job.run().ok().out == b"$HOME a b \n"


def test_another_shell(job):
    assert job("of the job", shell=["/bin/echo", "-n", "text:"]).run().ok().out == b"text: of the job"


def test_env_and_workdir_of_the_job_and_of_a_step(cloister, rootfs, nothing_left):
    show = "echo $P $J $S $O; pwd"
    job = Job(cloister, {"image": str(rootfs), "policy": {"env": {"P": "policy", "J": "policy", "S": "policy"}, "workdir": "/tmp"},
                         "env": {"J": "job", "S": "job"}, "workdir": "/srv/work",
                         "steps": [{"name": "a", "run": show},
                                   {"name": "b", "run": show, "env": {"S": "step"}, "workdir": "/srv/open"},
                                   {"name": "c", "run": show}]})
    assert job.run().ok().lines() == ["policy job job", "/srv/work", "policy job step", "/srv/open", "policy job job", "/srv/work"]
    assert job.run("-e", "O=option", "-e", "J=option").ok().lines()[0] == "policy option job option"


def test_a_working_directory_that_the_image_lacks_is_made(job):
    assert job("echo x >f; pwd", workdir="/work").run().ok().out == b"/work\n"


def test_a_policys_files_count_from_the_file(cloister, rootfs, nothing_left):
    job = Job(cloister, {"image": str(rootfs), "policy": {"files": [{"host": "./data", "path": "/data"}]}, "steps": steps("cat /data/f")})
    (job.directory / "data").mkdir()
    (job.directory / "data/f").write_text("of the host\n")
    assert job.run().ok().out == b"of the host\n"


def test_a_policy_file_goes_over_the_jobs(cloister, job):
    policy = cloister.directory("policy") / "policy.yaml"
    policy.write_text("env: {A: operator}\nlimits: {time: 31s}\n")
    outcome = job("echo $A", policy={"env": {"A": "job"}, "limits": {"time": "1h", "tasks": 77}}).run("--policy", policy).ok()
    limits = outcome.result["sandbox"]["result"]["limits"]
    assert outcome.out == b"operator\n" and (limits["time_ns"], limits["tasks"]) == (31 * 10**9, 77)


def test_a_step_has_no_input(job):
    read, write = os.pipe()
    try:
        assert job("cat; readlink /proc/self/fd/0").run(stdin=read).ok().out == b"/dev/null\n"
    finally:
        os.close(read)
        os.close(write)


def test_streams_stay_apart(job):
    outcome = job("echo out; echo err >&2").run("--quiet").ok()
    assert outcome.out == b"out\n" and outcome.err == b"err\n"


# --- failures ---------------------------------------------------------------------------------


def test_the_first_failure_ends_it(job):
    outcome = job("echo a", "exit 3", "echo c").run()
    assert outcome.exit == 3 and outcome.out == b"a\n", str(outcome)
    assert statuses(outcome) == ["passed", "failed", "skipped"] and outcome.result["status"] == "failed"
    assert text(outcome.err).splitlines()[-1] == 'cloister: step "s1" failed with status 3'
    failed, skipped = outcome.result["steps"][1:]
    assert failed["exit_code"] == 3 and failed["signal"] is None and failed["error"] is None
    assert skipped["started_at"] is None and skipped["time_ns"] == 0 and skipped["exit_code"] is None


def test_a_failure_that_is_allowed(cloister, rootfs, nothing_left):
    job = Job(cloister, {"image": str(rootfs), "steps": [{"name": "a", "run": "exit 7", "allow_failure": True}, {"name": "b", "run": "echo b"}]})
    outcome = job.run().ok()
    assert outcome.out == b"b\n" and statuses(outcome) == ["failed", "passed"] and outcome.result["status"] == "passed"


def test_keep_going(job):
    outcome = job("exit 3", "echo b", "exit 4").run("--keep-going")
    assert outcome.exit == 3 and outcome.out == b"b\n", str(outcome)
    assert statuses(outcome) == ["failed", "passed", "failed"] and outcome.result["status"] == "failed"


def test_a_signal(job):
    outcome = job("kill -SEGV $$").run()
    step = outcome.result["steps"][0]
    assert outcome.exit == 128 + signal.SIGSEGV and (step["exit_code"], step["signal"]) == (None, signal.SIGSEGV), str(outcome)
    assert "SIGSEGV" in step["error"]


def test_a_command_that_is_not_there(cloister, rootfs, nothing_left):
    job = Job(cloister, {"image": str(rootfs), "steps": [{"name": "a", "command": ["nosuch"]}]})
    outcome = job.run()
    assert outcome.exit == 127 and "nosuch: command not found" in outcome.result["steps"][0]["error"], str(outcome)
    assert 'step "a": nosuch: command not found' in text(outcome.err)


def test_a_steps_timeout_fails_the_job_whatever_is_allowed(cloister, rootfs, nothing_left):
    job = Job(cloister, {"image": str(rootfs), "steps": [
        {"name": "a", "run": "echo a; sleep 1000; echo never", "timeout": f"{patience(0.5)}s", "allow_failure": True}, {"name": "b", "run": "echo b"}]})
    outcome = job.run("--keep-going")
    assert outcome.exit == 124 and outcome.out == b"a\n", str(outcome)
    assert statuses(outcome) == ["timeout", "skipped"] and outcome.result["status"] == "timeout"
    assert 0.5e9 <= outcome.result["steps"][0]["time_ns"] and ended_by_us(outcome)


def test_the_time_of_all(job):
    outcome = job("echo a", "sleep 1000", "echo c").run("--timeout", f"{patience(1)}s")
    assert outcome.exit == 124 and outcome.result["status"] == "timeout", str(outcome)
    assert statuses(outcome) == ["passed", "timeout", "skipped"]
    assert outcome.result["sandbox"]["result"]["status"] == "timeout" and "time" in outcome.result["sandbox"]["result"]["limits_hit"]
    assert f"time limit of {patience(1):.3f}s" in outcome.result["error"]


def test_the_output_of_all(job):
    outcome = job("head -c 40000 /dev/zero", "yes", "echo c", policy={"limits": {"output": "64KiB"}}).run("--quiet")
    assert outcome.exit == 137 and len(outcome.out) == 65536, str(outcome)
    assert statuses(outcome) == ["passed", "output_limit", "skipped"] and outcome.result["status"] == "output_limit"


def test_code_can_not_end_its_sandbox(job):
    """No process of the sandbox's own can be signalled (under AppArmor that's an error); whoever is, is a step or what one left."""
    outcome = job("sleep 1000 & sleep 1000 & kill -9 -1 1 || :; kill -9 1 || :; echo alive", "while ps | grep -q '[s]leep'; do :; done; echo next").run().ok()
    assert outcome.lines() == ["alive", "next"]


def test_kill_from_outside(cloister, job):
    made = job("echo ready; sleep 1000", name=f"job-{os.getpid()}")
    with made.start() as running:
        running.expect(b"ready")
        cloister.call("kill", f"job-{os.getpid()}").ok()
        outcome = running.wait()
    assert outcome.exit == 137 and outcome.result["status"] == "killed" and outcome.result["sandbox"]["status"] == "killed", str(outcome)


# --- what is told -------------------------------------------------------------------------------


def test_the_result_exactly(cloister, rootfs, job):
    made = job("echo a", "exit 2", tenant="one", name=f"exactly-{os.getpid()}")
    outcome = made.run("--label", "build=7")
    result = outcome.result
    assert list(result) == JOB_KEYS
    assert (result["job"], result["name"], result["tenant"], result["image"]) == (str(made.path), f"exactly-{os.getpid()}", "one", str(rootfs))
    assert (result["status"], result["exit_status"], result["error"]) == ("failed", 2, 'step "s1" failed with status 2')
    assert all(list(step) == STEP_KEYS for step in result["steps"]) and result["artifacts"] == []
    assert [step["name"] for step in result["steps"]] == ["s0", "s1"]
    times = [result["started_at"], result["sandbox"]["created_at"], *(step[key] for step in result["steps"] for key in ("started_at", "ended_at")),
             result["sandbox"]["ended_at"], result["ended_at"]]
    parsed = [datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", one)) for one in times]
    assert parsed == sorted(parsed), times
    assert 0 < sum(step["time_ns"] for step in result["steps"]) < result["time_ns"] < 60e9
    sandbox = result["sandbox"]
    assert sandbox["id"] == result["id"] and sandbox["tenant"] == "one" and sandbox["labels"] == ["build=7"]
    assert ended_by_us(outcome)
    assert "seccomp" in sandbox["result"]["layers"]


def test_the_result_on_standard_output_alone(job):
    made = job("echo out; echo err >&2")
    outcome = made.run("--format", "json").ok()
    result = json.loads(outcome.out)
    assert {**result, "ended_at": 0, "time_ns": 0} == {**outcome.result, "ended_at": 0, "time_ns": 0}
    assert b"out\n" in outcome.err and b"err\n" in outcome.err


def test_the_sandbox_is_told_as_inspect_tells_it(cloister, job):
    made = job("echo ready; sleep 1000", name=f"told-{os.getpid()}")
    with made.start() as running:
        running.expect(b"ready")
        seen, = json.loads(cloister.call("inspect", f"told-{os.getpid()}").ok().out)
        running.signal(signal.SIGTERM)
        result = running.wait().result
    assert set(result["sandbox"]) == set(seen) | {"result"}
    assert {key for key in seen if seen[key] != result["sandbox"][key]} <= {
        "status", "ended_at", "exit_status", "supervisor_pid", "pid", "init_pid", "layers"}


def test_lines_before_and_behind_each_step(cloister, rootfs, nothing_left):
    job = Job(cloister, {"image": str(rootfs), "steps": [
        {"name": "get it", "run": "true"}, {"name": "try it", "run": "exit 9", "allow_failure": True}, {"name": "end it", "run": "kill $$"}]})
    outcome = job.run()
    lines = [re.sub(r"\d+\.\d s", "T", line) for line in text(outcome.err).splitlines()]
    assert lines == [f"==> sandbox {outcome.result['id']}", "==> [1/3] get it", "    ok in T",
                     "==> [2/3] try it", "    failed with status 9 in T, which is allowed",
                     "==> [3/3] end it", "    failed by signal 15 (SIGTERM) in T",
                     'cloister: step "end it": the command was ended by signal 15 (SIGTERM)'], str(outcome)


@pytest.mark.parametrize("no_colour", [None, "1"])
def test_colours_on_a_terminal(as_root, rootfs, no_colour, nothing_left):
    job = Job(as_root, {"image": str(rootfs), "steps": steps("true")})
    with Terminal() as terminal:
        with job.start(env={"NO_COLOR": no_colour, "TERM": "xterm"}, stderr=terminal.slave) as running:
            running.wait()
        shown = terminal.expect(b"ok in")
    assert (b"\x1b[32m" in shown) == (no_colour is None)


def test_quiet_says_nothing_of_what_goes_well(job):
    assert job("true").run("-q").ok().err == b""
    assert text(job("exit 5").run("-q").err) == 'cloister: step "s0" failed with status 5\n'


def test_nothing_is_kept(cloister, job):
    before = sandboxes(cloister)
    outcome = job("true", name=f"kept-{os.getpid()}").run().ok()
    assert sandboxes(cloister) == before and not (cloister.kept() / outcome.result["id"]).exists()


def test_a_result_that_can_not_be_written_is_told_before_anything_runs(cloister, job):
    made = job("echo never")
    outcome = cloister.call("job", "run", "--result", "/no/such/dir/r.json", str(made.path))
    outcome.refused("the result file /no/such/dir/r.json")


# --- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_step_and_the_job(cloister, job, number):
    before = sandboxes(cloister)
    with job("trap 'echo told; exit 4' INT TERM; echo ready; while :; do sleep 0.1; done", "echo never").start() as running:
        running.expect(b"ready")
        running.signal(number)
        outcome = running.wait()
    assert outcome.exit == 128 + number and outcome.out == b"ready\ntold\n", str(outcome)
    assert outcome.result["status"] == "interrupted" and statuses(outcome) == ["interrupted", "skipped"]
    assert sandboxes(cloister) == before


def test_a_step_that_ignores_an_interrupt_is_killed_after_the_grace(job):
    made = job("trap '' INT TERM; echo ready; while :; do sleep 0.1; done", policy={"limits": {"stop_grace": "300ms"}})
    with made.start() as running:
        running.expect(b"ready")
        running.signal(signal.SIGTERM)
        outcome = running.wait()
    assert outcome.exit == 143 and outcome.result["status"] == "interrupted", str(outcome)


def test_an_interrupt_that_the_step_survives_still_ends_the_job(job):
    with job("trap 'exit 0' INT; echo ready; while :; do sleep 0.1; done", "echo never").start() as running:
        running.expect(b"ready")
        running.signal(signal.SIGINT)
        outcome = running.wait()
    assert outcome.exit == 130 and outcome.out == b"ready\n" and statuses(outcome) == ["passed", "skipped"], str(outcome)
    assert outcome.result["status"] == "interrupted"


def supervisor_of(cloister, name):
    row, = json.loads(cloister.call("inspect", name).ok().out)
    return row["supervisor_pid"]


def test_when_the_caller_is_killed_the_sandbox_ends_at_once(cloister, job):
    name = f"killed-{os.getpid()}"
    with job("echo ready; sleep 1000", name=name).start() as running:
        running.expect(b"ready")
        supervisor = supervisor_of(cloister, name)
        inside = descendants(supervisor)
        assert inside and alive(supervisor)
        running.signal(signal.SIGKILL)
        poll(lambda: not any(map(alive, [supervisor, *inside])), 20, "the sandbox outlived its job's caller")
    assert name not in sandboxes(cloister)


def test_when_the_caller_is_held_up_the_time_limit_ends_the_sandbox(cloister, job):
    name = f"held-{os.getpid()}"
    with job("echo ready; sleep 1000", name=name).start("--timeout", f"{patience(2)}s") as running:
        running.expect(b"ready")
        supervisor = supervisor_of(cloister, name)
        inside = descendants(supervisor)
        running.signal(signal.SIGSTOP)
        poll(lambda: not any(map(alive, [supervisor, *inside])), 20, "the sandbox outlived its time")
        running.signal(signal.SIGCONT)
        outcome = running.wait()
    assert outcome.exit == 124 and outcome.result["status"] == "timeout", str(outcome)


# --- files in and out --------------------------------------------------------------------------------


def test_what_is_copied_in_is_there_before_the_first_step(cloister, job):
    made = job("cat rules/one /tmp/given; echo more >>rules/one; cat rules/one", workdir="/work",
               copy_in=[{"from": "./rules", "to": "/work"}, {"from": str(cloister.directory("in") / "given"), "to": "/tmp"}])
    (made.directory / "rules").mkdir()
    (made.directory / "rules/one").write_text("rule\n")
    (made.directory / "rules").chmod(0o755)
    given = json.loads(made.path.read_text())["copy_in"][1]["from"]
    with open(given, "w", encoding="utf-8") as out:
        out.write("given\n")
    assert made.run().ok().out == b"rule\ngiven\nrule\nmore\n"
    assert (made.directory / "rules/one").read_text() == "rule\n"


def test_what_can_not_be_copied_in_fails_the_job(job):
    outcome = job("echo never", copy_in=[{"from": "/no/such", "to": "/tmp"}]).run()
    assert outcome.exit == 125 and outcome.out == b"" and "copy_in[0]" in outcome.result["error"], str(outcome)
    assert outcome.result["status"] == "error" and statuses(outcome) == ["skipped"] and ended_by_us(outcome)


MAKE = "mkdir -p out/sub; echo report >report; echo f >out/sub/f; ln -s f out/sub/l"


def artifacts_of(outcome):
    return [(one["path"], one["to"], one["entries"], one["bytes"], one["error"]) for one in outcome.result["artifacts"]]


def test_artifacts_come_out(job):
    made = job(MAKE, workdir="/work", artifacts=["/work/report", {"path": "/work/out", "to": "deep/down"}])
    outcome = made.run().ok()
    assert artifacts_of(outcome) == [("/work/report", "report", 1, 7, None), ("/work/out", "deep/down", 4, 2, None)]
    assert (made.artifacts / "report").read_text() == "report\n"
    assert (made.artifacts / "deep/down/sub/f").read_text() == "f\n" and os.readlink(made.artifacts / "deep/down/sub/l") == "f"
    owners = {os.lstat(made.artifacts / name).st_uid for name in ("report", "deep", "deep/down/sub/f")}
    assert owners == {made.cloister.uid}


def test_artifacts_go_to_where_the_caller_is_without_an_option(cloister, job):
    made = job(MAKE, workdir="/work", artifacts=["/work/report"])
    where = cloister.directory("where")
    without = [word for layer in cloister.without for word in ("--without", layer)]
    cloister.call("job", "run", *without, str(made.path), cwd=where).ok()
    assert (where / "artifacts/report").read_text() == "report\n"


def test_artifacts_come_out_of_a_job_that_failed(job):
    made = job(MAKE, "exit 3", workdir="/work", artifacts=["/work/report"])
    outcome = made.run()
    assert outcome.exit == 3 and outcome.result["status"] == "failed" and artifacts_of(outcome)[0][2:] == (1, 7, None), str(outcome)
    assert (made.artifacts / "report").read_text() == "report\n"


def test_artifacts_come_out_after_a_steps_timeout(cloister, rootfs, nothing_left):
    made = Job(cloister, {"image": str(rootfs), "workdir": "/work", "artifacts": ["/work/report"],
                          "steps": [{"name": "a", "run": f"{MAKE}; sleep 1000", "timeout": f"{patience(1)}s"}]})
    assert made.run().exit == 124 and (made.artifacts / "report").read_text() == "report\n"


def test_an_artifact_that_is_not_there_is_no_success(job):
    outcome = job("true", artifacts=["/work/none"], workdir="/work").run()
    assert outcome.exit == 125 and outcome.result["status"] == "error", str(outcome)
    assert "/work/none" in outcome.result["artifacts"][0]["error"] and statuses(outcome) == ["passed"]


def test_a_sandbox_that_was_ended_by_a_limit_has_no_artifacts(job):
    outcome = job(MAKE, "sleep 1000", workdir="/work", artifacts=["/work/report"]).run("--timeout", f"{patience(1)}s")
    assert outcome.exit == 124 and outcome.result["status"] == "timeout", str(outcome)
    assert artifacts_of(outcome) == [("/work/report", "report", 0, 0, "the sandbox has ended")]


def test_an_artifact_does_not_go_where_something_is(job):
    made = job("echo never", artifacts=["/work/report"])
    made.artifacts.mkdir()
    (made.artifacts / "report").symlink_to("/nowhere")
    made.artifacts.chmod(0o777)
    outcome = made.run().refused("report is there already")
    assert outcome.result["status"] == "error" and outcome.result["id"] is None


def test_an_artifact_that_leads_out_brings_nothing_of_the_host(job):
    made = job("ln -s /etc/passwd link; mkdir out; ln -s ../../../../../etc out/up; mkfifo out/fifo; ln -s / out/root", workdir="/work",
               artifacts=["/work/out"])
    outcome = made.run()
    assert outcome.exit == 125 and "not copied" in outcome.result["error"], str(outcome)
    assert os.listdir(made.artifacts / "out") == []


def test_artifacts_are_no_larger_than_what_the_sandbox_may_write(job):
    made = job("truncate -s 1000000000 sparse; echo small >small", workdir="/work", policy={"limits": {"disk": "16MiB"}},
               artifacts=["/work/small", "/work/sparse"])
    outcome = made.run()
    assert outcome.exit == 125 and outcome.result["artifacts"][0]["error"] is None, str(outcome)
    assert "limits.disk" in outcome.result["artifacts"][1]["error"]


def test_an_interrupt_while_files_are_copied_in_ends_the_job(cloister, job):
    before = sandboxes(cloister)
    name = f"in-{os.getpid()}"
    made = job("echo never", name=name, copy_in=[{"from": "./many", "to": "/tmp"}], artifacts=["/tmp/x"])
    (made.directory / "many").mkdir(mode=0o755)
    for number in range(30000):
        os.mknod(made.directory / "many" / str(number), 0o644)
    with made.start() as running:
        poll(lambda: name in sandboxes(cloister), 30, "the sandbox did not start")
        running.signal(signal.SIGTERM)
        outcome = running.wait()
    assert outcome.exit == 143 and outcome.out == b"", str(outcome)
    assert outcome.result["status"] == "interrupted" and statuses(outcome) == ["skipped"]
    assert "while files were copied in" in outcome.result["error"]
    assert outcome.result["artifacts"][0]["error"] == "the job was interrupted" and sandboxes(cloister) == before


def test_an_interrupt_while_artifacts_are_copied_ends_the_job(cloister, job):
    before = sandboxes(cloister)
    made = job("mkdir out; cd out; seq 30000 | xargs touch", workdir="/work", artifacts=["/work/out"])
    with made.start() as running:
        poll(lambda: (made.artifacts / "out").is_dir() and os.listdir(made.artifacts / "out"), 30, "nothing was copied")
        running.signal(signal.SIGTERM)
        outcome = running.wait()
    assert outcome.exit == 143 and outcome.result["status"] == "interrupted", str(outcome)
    assert outcome.result["artifacts"][0]["error"] == "the job was interrupted" and sandboxes(cloister) == before
