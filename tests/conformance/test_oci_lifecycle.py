"""The operations of the specification, in order and out of order: runtime.md."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from lib import oci
from lib.runner import alive

BAD_IDS = ["", "..", ".", "a/b", "../x", "/", "a b", "a\tb", "a\nb", "ünï", "a;b", "a*"]
LIVES = "echo began; exec sleep 1000"


def sleeping(runtime, **more):
    """A container whose program has begun, and waits."""
    container = runtime.started(runtime.bundle(**more).sh(LIVES))
    container.expect(b"began\n")
    return container


# create

def test_create_start_state_kill_delete(anyone, nothing_left):
    container = anyone.create(anyone.bundle().sh(LIVES))
    assert container.out == b"", "the program ran before start"
    container.is_now("created")
    container.start()
    container.expect(b"began\n")
    container.is_now("running")
    container.kill("KILL")
    assert container.wait() == 128 + signal.SIGKILL
    container.is_now("stopped")
    container.delete()
    anyone.refused(container.call("state"), "exist|no such")
    nothing_left([anyone])


def test_the_program_runs_at_start_and_not_before(anyone):
    bundle = anyone.bundle().sh("echo ran")
    container = anyone.create(bundle)
    assert Path(f"/proc/{container.pid}/comm").read_text() != "sh\n"
    container.is_now("created")
    assert container.out == b""
    container.start()
    assert container.wait() == 0 and container.out == b"ran\n"


def test_state_has_what_the_specification_asks(anyone):
    bundle = anyone.bundle().args("sleep", "1000").annotate(org_example_one="1", org_example_empty="")
    container = anyone.create(bundle)
    state = container.state()
    assert state["id"] == container.id
    assert state["pid"] == container.pid and alive(container.pid)
    assert state["bundle"] == str(bundle.directory)
    assert state["status"] == "created"
    assert state["annotations"] == {"org.example.one": "1", "org.example.empty": ""}
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.+-]+)?", state["ociVersion"]), state["ociVersion"]
    assert container.start().is_now("running")["pid"] == container.pid


def test_state_without_annotations(anyone):
    state = anyone.create(anyone.bundle()).state()
    assert state.get("annotations") in (None, {})


def test_state_of_a_bundle_given_by_a_relative_path(runtime):
    bundle = runtime.bundle().write()
    identifier = runtime.new_id()
    pid_file = bundle.directory / "pid"
    made = runtime.popen("create", "--bundle", bundle.directory.name, "--pid-file", pid_file, identifier, cwd=bundle.directory.parent)
    assert made.process.wait(20) == 0, f"{made.err}"
    container = oci.Container(runtime, bundle, identifier, made, pid_file)
    assert container.state()["bundle"] == str(bundle.directory), "bundle: an absolute path, says runtime.md"


def test_the_bundle_is_the_current_directory_by_default(runtime):
    bundle = runtime.bundle().sh("echo here").write()
    outcome = runtime.call("run", runtime.new_id(), cwd=bundle.directory)
    assert outcome.ok().out == b"here\n"


def test_the_pid_file_holds_the_hosts_pid_and_nothing_else(anyone):
    container = anyone.create(anyone.bundle())
    words = container.pid_file.read_text()
    assert words == str(container.pid), "engines read it without trimming"
    assert oci.stat_fields(container.pid)[1] == str(os.getpid()), "the first process is not the subreaper's child"


def test_a_pid_file_that_cannot_be_written_is_an_error(runtime, nothing_left):
    bundle = runtime.bundle().write()
    identifier = runtime.new_id()
    outcome = runtime.call("create", "--bundle", bundle.directory, "--pid-file", "/no/such/directory/pid", identifier)
    runtime.refused(outcome, "no such file or directory")
    assert runtime.left_of(identifier) == []
    nothing_left([runtime])


def test_changes_to_the_configuration_after_create_have_no_effect(anyone):
    bundle = anyone.bundle().sh("echo first")
    container = anyone.create(bundle)
    bundle.sh("echo second").write()
    container.start()
    assert container.wait() == 0 and container.out == b"first\n"


def test_a_configuration_that_is_removed_after_create(anyone):
    container = anyone.create(anyone.bundle().sh("echo first"))
    container.bundle.path.unlink()
    container.start()
    assert container.wait() == 0 and container.out == b"first\n"
    container.is_now("stopped")
    container.delete()


def test_an_id_in_use_is_refused(anyone):
    container = sleeping(anyone)
    outcome = anyone.try_create(anyone.bundle(), identifier=container.id)
    anyone.refused(outcome, "exist")
    container.is_now("running")


def test_an_id_of_a_stopped_container_is_in_use(anyone):
    container = anyone.started(anyone.bundle())
    container.wait()
    anyone.refused(anyone.try_create(anyone.bundle(), identifier=container.id), "exist")
    container.is_now("stopped")


def test_an_id_can_be_used_again_after_delete(anyone):
    container = anyone.started(anyone.bundle())
    container.wait()
    container.delete()
    again = anyone.create(anyone.bundle(), identifier=container.id)
    again.is_now("created")


def test_two_creates_at_once_on_one_id(runtime):
    """One wins; the loser leaves the winner's container alone."""
    identifier, results = runtime.new_id(), []
    bundles = [runtime.bundle().args("sleep", "1000") for _ in range(4)]
    threads = [threading.Thread(target=lambda b=b: results.append(runtime.try_create(b, identifier=identifier))) for b in bundles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [each for each in results if isinstance(each, oci.Container)]
    assert len(won) == 1, f"{results}"
    won[0].is_now("created")
    won[0].start().is_now("running")
    for each in results:
        if each is not won[0]:
            runtime.refused(each)


@pytest.mark.parametrize("identifier", BAD_IDS)
def test_bad_ids_are_refused(runtime, identifier, nothing_left):
    runtime.rejects(runtime.bundle(), words=["--"], identifier=identifier)
    nothing_left([runtime])


def test_an_id_that_is_too_long_is_refused(runtime, nothing_left):
    for length in (1025, 100_000):
        runtime.rejects(runtime.bundle(), "id", identifier="x" * length)
    nothing_left([runtime])


@pytest.mark.parametrize("identifier", ["a", "A-b_c.d+e", "0", "x" * 64])
def test_good_ids(runtime, identifier):
    """Those that engines make: 64 hexadecimal digits, and names of people."""
    runtime.ids.append(identifier)
    container = runtime.create(runtime.bundle(), identifier=identifier)
    assert container.state()["id"] == identifier
    container.delete("--force")


@pytest.mark.parametrize("command", ["create", "start", "state", "kill", "delete", "exec", "pause", "resume", "ps", "update"])
def test_a_missing_id_is_an_error(runtime, command):
    """Each of them generates an error without the id."""
    runtime.refused(runtime.call(command, cwd=runtime.directory()))


@pytest.mark.parametrize("words", [["start"], ["state"], ["kill"], ["delete"], ["pause"], ["resume"], ["ps"]])
def test_an_id_that_is_not_there_is_an_error(anyone, words):
    outcome = anyone.call(*words, "no-such-one")
    anyone.refused(outcome, "no-such-one|does not exist|not exist|no such")


def test_exec_into_what_is_not_there(anyone):
    anyone.refused(anyone.call("exec", "no-such-one", "true"), "no-such-one|not exist")


@pytest.mark.parametrize("name", ["config.json", "rootfs", "bundle"])
def test_a_bundle_that_lacks_something(runtime, name, nothing_left):
    bundle = runtime.bundle()
    directory = bundle.directory
    if name == "rootfs":
        bundle.set("root.path", "rootfs").write()
    elif name == "bundle":
        directory = "/no/such/bundle"
    outcome = runtime.call("create", "--bundle", directory, runtime.new_id())
    runtime.refused(outcome, "no such file or directory|not exist|config.json")
    nothing_left([runtime])


def test_a_root_path_that_is_relative_to_the_bundle(runtime):
    bundle = runtime.bundle(own_rootfs=True).set("root.path", "rootfs").sh("echo relative")
    assert runtime.output(bundle) == "relative\n"


def test_a_root_path_that_is_a_file(runtime, nothing_left):
    bundle = runtime.bundle()
    (bundle.directory / "rootfs").write_text("")
    runtime.rejects(bundle.set("root.path", "rootfs"), "not a directory|directory", field="root.path")
    nothing_left([runtime])


# start

def test_start_twice_is_an_error_and_has_no_effect(anyone):
    container = sleeping(anyone)
    anyone.refused(container.call("start"))
    assert container.is_now("running")["pid"] == container.pid


def test_start_of_a_stopped_container_is_an_error(anyone):
    container = anyone.started(anyone.bundle().sh("echo once"))
    assert container.wait() == 0
    anyone.refused(container.call("start"))
    container.is_now("stopped")
    assert container.out == b"once\n"


def test_two_starts_at_once(runtime):
    container = runtime.create(runtime.bundle().sh(LIVES))
    results = []
    threads = [threading.Thread(target=lambda: results.append(container.call("start"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    container.expect(b"began\n")
    assert sorted(outcome.exit != 0 for outcome in results) == [False, True, True, True], [str(each) for each in results]
    container.is_now("running")


# states

def test_a_container_is_stopped_as_soon_as_its_process_has_ended(anyone):
    """Also before its parent has taken the exit status: engines ask in that moment."""
    container = anyone.started(anyone.bundle().sh("exit 3"))
    container.ended()
    container.is_now("stopped")
    assert container.wait() == 3
    container.is_now("stopped")


def test_state_is_stopped_when_the_pid_is_somebody_elses(runtime):
    """A pid may come again: it alone doesn't say that a container runs."""
    container = runtime.started(runtime.bundle())
    container.wait()
    assert container.is_now("stopped").get("pid", 0) in (0, container.pid)


def test_list_shows_all_in_every_state(anyone):
    created = anyone.create(anyone.bundle().args("sleep", "1000"))
    running = sleeping(anyone)
    stopped = anyone.started(anyone.bundle())
    stopped.wait()
    rows = {row["id"]: row for row in json.loads(anyone.call("list", "--format", "json").ok().out)}
    assert {key: row["status"] for key, row in rows.items()} == {created.id: "created", running.id: "running", stopped.id: "stopped"}
    assert rows[running.id]["pid"] == running.pid
    assert rows[running.id]["bundle"] == str(running.bundle.directory)
    assert sorted(anyone.listed()) == sorted(rows)


# kill

@pytest.mark.parametrize("word, number", [("TERM", 15), ("SIGTERM", 15), ("9", 9), ("KILL", 9), ("HUP", 1), ("SIGUSR1", 10), ("34", 34)])
def test_signals_by_names_and_numbers(runtime, word, number):
    """To a process that is no init of a pid namespace: those are deaf to what they have no handler for."""
    container = runtime.started(runtime.bundle().without_namespace("pid").sh(LIVES))
    container.expect(b"began\n")
    container.kill(word)
    assert container.wait() == 128 + number


def test_kill_without_a_signal_means_term(anyone):
    container = anyone.started(anyone.bundle().sh("trap 'echo got term; exit 7' TERM; echo began; while :; do sleep 0.05; done"))
    container.expect(b"began\n")
    container.kill()
    assert container.wait() == 7 and b"got term" in container.out


@pytest.mark.parametrize("word", ["USR1", "SIGUSR1", "10"])
def test_the_signal_that_is_named_arrives(runtime, word):
    container = runtime.started(runtime.bundle().sh("trap 'echo got one; exit 5' USR1; echo began; while :; do sleep 0.05; done"))
    container.expect(b"began\n")
    container.kill(word)
    assert container.wait() == 5 and b"got one" in container.out


@pytest.mark.parametrize("word", ["NOSUCH", "SIG", "", "-1", "65", "9x", "4294967305"])
def test_signals_that_are_none(runtime, word):
    container = sleeping(runtime)
    runtime.refused(runtime.call("kill", "--", container.id, word))
    container.is_now("running")


def test_kill_of_a_created_container(anyone):
    container = anyone.create(anyone.bundle().args("sleep", "1000"))
    container.kill("KILL")
    assert container.wait() == 128 + 9
    container.is_now("stopped")
    container.delete()


@pytest.mark.parametrize("word", ["TERM", "KILL", "0"])
def test_kill_of_a_stopped_container_is_an_error(anyone, word):
    container = anyone.started(anyone.bundle())
    container.wait()
    anyone.refused(container.call("kill", word), "not running|stopped|no such process|exited|finished")


def test_kill_all_reaches_every_process(runtime):
    """Also without a pid namespace, where the others outlive the first."""
    script = "trap '' TERM; (echo child; exec sleep 1000) & echo began; exec sleep 1000"
    container = runtime.started(runtime.bundle().without_namespace("pid").sh(script))
    container.expect(b"began\n")
    container.expect(b"child\n")
    runtime.call("kill", "--all", container.id, "KILL").ok()
    assert container.wait() == 128 + 9  # which waits for the end of its output: the others are gone as well
    container.delete()


def test_kill_all_of_a_stopped_container_whose_others_live(runtime):
    container = runtime.started(runtime.bundle().without_namespace("pid").sh("sleep 1000 >/dev/null 2>&1 & echo $!; exit 0"))
    assert container.wait() == 0
    left = os.pidfd_open(int(container.out))
    try:
        assert not select.select([left], [], [], 0)[0], "it has ended already"
        runtime.call("kill", "--all", container.id, "9").ok()
        assert select.select([left], [], [], 20)[0], "kill --all left it alive"
    finally:
        os.close(left)
    container.delete()


# delete

def test_delete_of_a_created_container_is_refused_or_ends_it(anyone):
    """The specification leaves `created` open, and runtimes differ; afterwards it is either whole or gone."""
    container = anyone.create(anyone.bundle())
    outcome = anyone.call("delete", container.id)
    if outcome.exit == 0:
        anyone.refused(container.call("state"))
        assert container.wait() == 128 + 9
    else:
        container.is_now("created")
        container.start()
        assert container.wait() == 0


def test_delete_of_a_running_container_is_refused(anyone):
    container = sleeping(anyone)
    anyone.refused(anyone.call("delete", container.id), "running|not stopped|stop")
    container.is_now("running")
    assert alive(container.pid)


@pytest.mark.parametrize("option", ["--force", "-f"])
@pytest.mark.parametrize("status", ["created", "running", "stopped"])
def test_forced_delete_in_every_state(anyone, status, option, nothing_left):
    container = anyone.create(anyone.bundle().sh(LIVES))
    if status != "created":
        container.start()
        container.expect(b"began\n")
    if status == "stopped":
        container.kill("KILL")
        container.wait()
    container.delete(option)
    container.wait()
    nothing_left([anyone])


def test_forced_delete_of_what_is_gone_answers_0(anyone):
    """containerd's second shim process and podman ask for that."""
    container = anyone.started(anyone.bundle())
    container.wait()
    container.delete()
    outcome = anyone.call("delete", "--force", container.id)
    assert outcome.exit == 0, f"{outcome}"
    assert anyone.call("delete", "--force", "never-was").exit == 0


def test_delete_twice_is_an_error(anyone):
    container = anyone.started(anyone.bundle())
    container.wait()
    container.delete()
    anyone.refused(anyone.call("delete", container.id), "not exist|no such|does not exist|no container")


def test_delete_ends_what_a_container_without_a_pid_namespace_left(runtime, nothing_left):
    container = runtime.started(runtime.bundle().without_namespace("pid").sh("sleep 1000 >/dev/null 2>&1 & exit 0"))
    assert container.wait() == 0
    container.delete("--force")
    nothing_left([runtime])


def test_delete_leaves_what_it_has_not_made(runtime):
    """The bundle, the root file system, and what was in a volume."""
    bundle = runtime.bundle(own_rootfs=True)
    volume = runtime.directory("volume")
    (volume / "kept").write_text("kept\n")
    bundle.mount("/data", volume, "rbind").sh("echo more > /data/more; echo mine > /root/mine")
    container = runtime.started(bundle)
    assert container.wait() == 0, container.err
    container.delete()
    assert (volume / "kept").read_text() == "kept\n" and (volume / "more").read_text() == "more\n"
    assert (bundle.rootfs / "root/mine").read_text() == "mine\n" and bundle.path.exists()


def test_twenty_lives_leave_nothing(runtime, nothing_left):
    for _ in range(20):
        container = runtime.started(runtime.bundle())
        assert container.wait() == 0
        container.delete()
    nothing_left([runtime])


# the engine that dies between calls, or whose runtime is killed

@pytest.mark.parametrize("moment", range(6))
def test_create_killed_on_its_way(runtime, moment, nothing_left):
    """Whenever it is killed, `delete --force` clears what is left."""
    bundle = runtime.bundle().write()
    identifier = runtime.new_id()
    with runtime.popen("create", "--bundle", bundle.directory, identifier, pipes=(False, False, False)) as creating:
        select.select([], [], [], moment * 0.0015)  # a moment of its life, not something to wait for
        creating.process.kill()
        creating.process.wait(20)
    runtime.call("delete", "--force", identifier).ok()
    nothing_left([runtime])


def test_what_is_above_goes_while_it_is_made(runtime):
    """Another container's delete takes an empty cgroup that was just made for this one."""
    above = next((top / "above" for names, top in oci.cgroup_tops().items() if "cpuset" in names.split(",")), None)
    if above is None:
        pytest.skip("no cpuset of cgroup v1 here, which has to be filled")
    bundle, taken = runtime.bundle().args("true"), threading.Event()
    bundle.linux["cgroupsPath"] = f"{oci.slice_name()}/above/box"

    def take():
        while not taken.is_set():
            with contextlib.suppress(FileNotFoundError):
                above.rmdir()
                taken.set()

    taker = threading.Thread(target=take)
    taker.start()
    slowly = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=mkdirat", "-e", "inject=mkdirat:delay_exit=50000"]
    argv = [*slowly, *runtime.argv("run", "--bundle", bundle.write().directory, runtime.new_id())]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=runtime.environment(), stdin=subprocess.DEVNULL, cwd="/")
    finally:
        was_taken = taken.is_set()
        taken.set()
        taker.join()
    assert was_taken and done.returncode == 0, f"{done}"
