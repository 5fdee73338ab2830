"""hooks: their order, where they run, what they are told, and what their failure does. config.md's section on them."""

import json
import os
import signal

import pytest

BEFORE_START = ("prestart", "createRuntime", "createContainer")
KINDS = (*BEFORE_START, "startContainer", "poststart", "poststop")
ON_HOST = ("prestart", "createRuntime", "poststart", "poststop")
INSIDE = "/hooks"  # where the directory of hooks' output is mounted in the container


@pytest.fixture
def place(anyone):
    """Where hooks write."""
    made = anyone.directory("hooks", mode=0o777)
    made.chmod(0o777)
    return made


def hooked(runtime, place, kinds=KINDS, script="echo \"$input\" > {out}/{kind}.json; echo {kind} >> {out}/order", **more):
    """A bundle with a hook of each kind, whose files are in `place` wherever it runs."""
    bundle = runtime.bundle(own_rootfs=True).mount(INSIDE, place, "rbind", "rw").sh(f"echo program >> {INSIDE}/order")
    for kind in kinds:
        out = INSIDE if kind == "startContainer" else place
        bundle.hook_sh(kind, script.format(out=out, kind=kind), **more)
    return bundle


def order(place):
    path = place / "order"
    return path.read_text().split() if path.exists() else []


def life(runtime, bundle):
    container = runtime.create(bundle)
    container.start()
    container.wait()
    container.delete()
    return container


def test_hooks_run_in_their_order(anyone, place):
    life(anyone, hooked(anyone, place))
    found = order(place)
    assert found[:4] == ["prestart", "createRuntime", "createContainer", "startContainer"], found
    assert found[-1] == "poststop" and sorted(found[4:6]) == ["poststart", "program"], found


def test_each_runs_at_its_operation(anyone, place):
    container = anyone.create(hooked(anyone, place))
    assert order(place) == list(BEFORE_START)
    container.start()
    container.wait()
    assert "poststart" in order(place), "before start returns"
    assert "poststop" not in order(place)
    container.delete()
    assert order(place)[-1] == "poststop", "before delete returns"


def test_several_of_one_kind_run_as_listed(anyone, place):
    bundle = anyone.bundle(own_rootfs=True)
    for kind in ("createRuntime", "poststart", "poststop"):
        for number in range(5):
            bundle.hook_sh(kind, f"echo {kind}{number} >> {place}/order")
    life(anyone, bundle)
    assert order(place) == [f"{kind}{number}" for kind in ("createRuntime", "poststart", "poststop") for number in range(5)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_is_on_standard_input(anyone, place, kind):
    bundle = hooked(anyone, place, [kind]).annotate(org_example="value")
    container = life(anyone, bundle)
    state = json.loads((place / f"{kind}.json").read_text())
    assert state["id"] == container.id and state["bundle"] == str(bundle.directory)
    assert state["annotations"] == {"org.example": "value"}
    assert state["ociVersion"]
    statuses = {"poststart": ("running", "stopped"), "poststop": ("stopped",), "startContainer": ("created",)}.get(kind, ("creating", "created"))
    assert state["status"] in statuses, state
    if kind in ("prestart", "createRuntime", "poststart"):
        assert state["pid"] == container.pid


def test_where_they_run(runtime, place):
    """Those of the runtime in its namespaces; createContainer in the container's, before its root is the root; startContainer inside."""
    script = "for n in mnt net uts; do echo $n $(readlink /proc/self/ns/$n); done > {out}/{kind}; ls -d /hooks /var/lib/dpkg >> {out}/{kind} 2>/dev/null; true"
    bundle = hooked(runtime, place, script=script).sh(f"for n in mnt net uts; do echo $n $(readlink /proc/self/ns/$n); done > {INSIDE}/program")
    life(runtime, bundle)

    def read(name):
        lines = (place / name).read_text().splitlines()
        return dict(line.split() for line in lines if line[0] != "/"), [line for line in lines if line[0] == "/"]
    own = {name: os.readlink(f"/proc/self/ns/{name}") for name in ("net", "uts")}
    program, _ = read("program")
    for kind in ON_HOST:
        spaces, seen = read(kind)
        assert {name: spaces[name] for name in own} == own and spaces["mnt"] != program["mnt"], kind
        assert "/hooks" not in seen, kind
    spaces, seen = read("createContainer")
    assert spaces == program and "/hooks" not in seen, "it runs before pivot_root: the runtime's paths"
    spaces, seen = read("startContainer")
    assert spaces == program and seen == ["/hooks"]


def test_createContainer_sees_the_containers_mounts(runtime, place):
    """Though not at their places: below the root file system's path, in the container's mount namespace."""
    bundle = runtime.bundle(own_rootfs=True).mount("/data", "tmpfs", "mode=755")
    bundle.hook_sh("createContainer", f"grep -c ' {bundle.rootfs}/data ' /proc/self/mountinfo > {place}/count; echo hooked > {bundle.rootfs}/data/file; true")
    assert runtime.output(bundle.args("cat", "/data/file")) == "hooked\n"
    assert (place / "count").read_text() == "1\n"


def test_createRuntime_can_make_a_network(runtime):
    """What CNI's callers do by it: the container's network namespace is there, and is found by the pid."""
    script = r"""pid=$(echo "$input" | tr -d '\n' | sed 's/.*"pid": *\([0-9]*\).*/\1/'); nsenter -t "$pid" -n ip link add hooked0 type veth peer name hooked1"""
    bundle = runtime.bundle().hook_sh("createRuntime", script, env=["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
    assert "hooked0" in runtime.output(bundle.args("ls", "/sys/class/net"))


def test_arguments_and_environment(anyone, place):
    """argv as given, its first word too; the environment is exactly what is given."""
    bundle = anyone.bundle(own_rootfs=True)
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["other-name", "-c", f"tr '\\0' '\\n' < /proc/$$/cmdline > {place}/args; tr '\\0' '\\n' < /proc/$$/environ > {place}/env",
                                                                             "one", "a b"], "env": ["PATH=/usr/bin:/bin", "ONE=1", "TWO=a=b"]}]}
    anyone.run(bundle, env={"OF_THE_CALLER": "x"}).ok()
    words = (place / "args").read_text().splitlines()
    assert words[0] == "other-name" and words[-2:] == ["one", "a b"]
    assert (place / "env").read_text().splitlines() == ["PATH=/usr/bin:/bin", "ONE=1", "TWO=a=b"]


def test_without_arguments(anyone, place):
    """Then its path is the first."""
    script = place / "hook"
    script.write_text(f"#!/bin/sh\necho $# > {place}/count\n")
    script.chmod(0o755)
    bundle = anyone.bundle(own_rootfs=True)
    bundle.config["hooks"] = {"createRuntime": [{"path": str(script)}]}
    anyone.run(bundle).ok()
    assert (place / "count").read_text() == "0\n"


@pytest.mark.parametrize("kind", [*BEFORE_START, "startContainer"])
def test_a_failure_before_the_program_ends_the_container(anyone, place, kind, nothing_left):
    """An error of the operation, and the container is destroyed: runtime.md's lifecycle."""
    bundle = hooked(anyone, place, [kind], script="echo oops >&2; exit 7")
    outcome = anyone.run(bundle)
    anyone.refused(outcome, "hook|exit status 7|7")
    assert order(place) == [], "the program ran"
    nothing_left([anyone])


def test_poststop_runs_after_a_failed_hook(anyone, place):
    """Engines' own clean-up hangs on it."""
    bundle = hooked(anyone, place, ["poststop"])
    bundle.hook_sh("createRuntime", "exit 1")
    anyone.refused(anyone.run(bundle))
    assert order(place) == ["poststop"]


def test_hooks_after_a_failed_one_do_not_run(anyone, place):
    bundle = hooked(anyone, place, ["createContainer"])
    bundle.hook_sh("createRuntime", "exit 1").hook_sh("createRuntime", f"echo second >> {place}/order")
    anyone.refused(anyone.run(bundle))
    assert order(place) == []


def test_a_failed_startContainer_is_told_by_start(anyone, place):
    container = anyone.create(hooked(anyone, place, ["startContainer"], script="exit 7"))
    outcome = container.call("start")
    status = container.wait()
    assert outcome.exit != 0 or status != 0, "nobody is told"
    assert order(place) == []
    container.is_now("stopped")


def test_a_failed_poststart_stops_the_container(anyone, place, nothing_left):
    """Since version 1.2.1: generate an error, stop the container, and go on with its destruction; older texts had a warning."""
    bundle = hooked(anyone, place, ["poststop"]).hook_sh("poststart", "exit 7").args("sleep", "1000")
    container = anyone.create(bundle)
    anyone.refused(container.call("start"), "hook|7")
    container.wait()
    container.call("delete", "--force").ok()
    assert order(place) == ["poststop"]
    nothing_left([anyone])


def test_a_failed_poststop_is_a_warning(anyone, place, nothing_left):
    """The remaining hooks and the lifecycle go on as if it had succeeded."""
    bundle = hooked(anyone, place, ["poststop"], script="exit 7").hook_sh("poststop", f"echo second >> {place}/order")
    container = anyone.started(bundle.args("true"))
    container.wait()
    outcome = anyone.call("delete", container.id)
    assert outcome.exit == 0 and order(place) == ["second"], f"{outcome}"
    nothing_left([anyone])


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "startContainer"])
def test_a_hook_with_a_timeout_is_ended(anyone, place, kind, nothing_left):
    """In seconds; what it started is gone as well."""
    out = INSIDE if kind == "startContainer" else place
    bundle = hooked(anyone, place, [kind], script=f"echo $$ > {out}/pid; exec sleep 1000", timeout=1)
    outcome = anyone.run(bundle)
    anyone.refused(outcome, "time|deadline|killed|signal")
    assert order(place) == [] and outcome.seconds < 30
    nothing_left([anyone])


MULTIPLY = "i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i+1)); done; wait"


@pytest.mark.parametrize("kind", [*BEFORE_START, "startContainer", "poststart", "poststop"])
def test_a_hook_that_multiplies_holds_nobody(runtime, world, kind, nothing_left):
    """Those of it that are in the container end with that; the others are the engine's, as its program is."""
    before = world.processes()
    container = runtime.try_create(runtime.bundle().args("sleep", "1000").hook_sh(kind, MULTIPLY, timeout=1))
    outcome = container
    if kind in ("startContainer", "poststart", "poststop"):
        outcome = container.call("start")
    if kind == "poststop":
        container.kill("KILL").wait()
        outcome = container.call("delete")
        assert outcome.ok().seconds < 20
    else:
        runtime.refused(outcome, "time", field=f"hooks.{kind}[0]")
        assert outcome.seconds < 20
    left = world.processes() - before
    assert len(left) >= 60 if kind in ON_HOST else not left, f"{kind}: {left}"
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    if kind in ("startContainer", "poststart"):  # stopped, and its engine's to delete
        runtime.call("delete", "--force", container.id).ok()
        container.wait()
    nothing_left([runtime])


def test_a_hook_that_hangs_when_the_runtime_is_killed(runtime, nothing_left):
    """An engine that has lost its patience: the container can be cleared, whatever the hook does."""
    place = runtime.directory("hooks")
    os.mkfifo(place / "fifo")
    bundle = runtime.bundle().args("sleep", "1000").hook_sh("createRuntime", f"echo here > {place}/fifo; read line < {place}/fifo").write()
    identifier = runtime.new_id()
    with runtime.popen("create", "--bundle", bundle.directory, identifier, pipes=(False, False, False)) as creating:
        assert (place / "fifo").read_text() == "here\n"
        creating.process.kill()
        creating.process.wait(20)
    runtime.call("delete", "--force", identifier).ok()
    (place / "fifo").write_text("go\n")
    nothing_left([runtime])


def test_a_timeout_that_is_not_reached(anyone, place):
    bundle = hooked(anyone, place, ["createRuntime"], timeout=100)
    anyone.run(bundle).ok()
    assert order(place) == ["createRuntime", "program"]


def test_a_hook_that_is_killed(anyone, place, nothing_left):
    bundle = hooked(anyone, place, ["createRuntime"], script=f"kill -{int(signal.SIGKILL)} $$")
    anyone.refused(anyone.run(bundle), "kill|signal|9")
    nothing_left([anyone])


@pytest.mark.parametrize("path", ["/no/such/hook", "/etc/passwd", "/etc"])
def test_hooks_that_cannot_be_started(anyone, path, nothing_left):
    bundle = anyone.bundle().hook("createRuntime", path)
    anyone.refused(anyone.run(bundle), "no such file|permission denied|is a directory|hook")
    nothing_left([anyone])


def test_a_hook_that_does_not_read_its_input(anyone, place):
    """No SIGPIPE, however long the state is."""
    bundle = anyone.bundle().hook("createRuntime", "/bin/sh", "-c", "exec 0<&-; exit 0").annotate(long="x" * 200_000)
    anyone.run(bundle).ok()


def test_a_hook_that_talks_much(anyone, place):
    """Its output blocks nobody."""
    bundle = hooked(anyone, place, ["createRuntime"], script="head -c 300000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero | tr '\\0' y >&2; exit 0")
    assert anyone.run(bundle).exit == 0


def test_hooks_hold_no_descriptor_of_the_runtime(runtime, place):
    script = "for each in /proc/self/fd/*; do echo ${{each##*/}} $(readlink $each); done > {out}/{kind}"
    life(runtime, hooked(runtime, place, script=script))
    for kind in KINDS:
        numbers = {int(line.split()[0]) for line in (place / kind).read_text().splitlines() if len(line.split()) > 1 and not line.endswith(kind)}
        assert numbers <= {0, 1, 2, 3, 255}, f"{kind}: {(place / kind).read_text()}"


@pytest.mark.parametrize("hooks, field", [({"createRuntime": [{"args": ["x"]}]}, "path"), ({"createRuntime": [{"path": "relative"}]}, "path"),
                                          ({"createRuntime": [{"path": "/bin/true", "timeout": 0}]}, "timeout"),
                                          ({"createRuntime": [{"path": "/bin/true", "timeout": -1}]}, "timeout"),
                                          ({"createRuntime": [{"path": "/bin/true", "timeout": "5"}]}, "timeout"),
                                          ({"createRuntime": [{"path": "/bin/true", "args": "x"}]}, "args"),
                                          ({"createRuntime": [{"path": "/bin/true", "env": [5]}]}, "env"), ({"createRuntime": [{"path": 5}]}, "path"),
                                          ({"createRuntime": {"path": "/bin/true"}}, ""), (["createRuntime"], "")], ids=str)
def test_hooks_that_are_none(runtime, hooks, field, nothing_left):
    """path MUST be absolute, timeout MUST be greater than zero."""
    bundle = runtime.bundle()
    bundle.config["hooks"] = hooks
    runtime.rejects(bundle, field=f"hooks.createRuntime[0].{field}" if field else "hooks")
    nothing_left([runtime])


def test_hooks_of_unknown_kinds_are_ignored(anyone):
    bundle = anyone.bundle()
    bundle.config["hooks"] = {"beforeAll": [{"path": "/no/such"}], "createRuntime": []}
    anyone.run(bundle).ok()
