"""--cgroup-manager systemd: a sandbox's cgroup is in a scope that systemd delegates. Where no systemd runs, that is told."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from lib.runner import Cloister, alive, descendants, poll

MANAGER = ["--cgroup-manager", "systemd"]
IS_THERE = Path("/run/systemd/system").is_dir()
needs_systemd = pytest.mark.skipif(not IS_THERE, reason="no systemd runs here")


@pytest.fixture
def manager(cloister):
    """The words that ask the manager of who runs cloister, and what its commands need to find it."""
    if cloister.identity == "root":
        return ["systemctl"], {}
    bus = Path(f"/run/user/{cloister.uid}/bus")
    if not bus.exists():
        pytest.skip("this user has no systemd")
    address = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus}"}
    return ["setpriv", f"--reuid={cloister.uid}", f"--regid={cloister.uid}", "--clear-groups", "env", f"XDG_RUNTIME_DIR=/run/user/{cloister.uid}",
            "systemctl", "--user"], address


@pytest.fixture
def user_with_limits(world, binary):
    return Cloister(world, binary, "user", without=[])


def show(manager, unit):
    shown = subprocess.run([*manager[0], "show", "-p", "LoadState,ActiveState,Delegate,ControlGroup,TasksMax", unit], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in shown.stdout.splitlines())


def cgroup(pid):
    return Path(f"/proc/{pid}/cgroup").read_text().strip().split("::")[-1]


@pytest.fixture
def box(cloister, rootfs, manager):
    outcome = cloister.detach(rootfs, "sleep", "1000", opts=[*MANAGER, "-m", "48m", "--pids-limit", "7"], env=manager[1]).ok()
    yield outcome.word()
    cloister.call("rm", "-f", outcome.word())


@needs_systemd
def test_a_scope_is_its_own(cloister, manager, box):
    seen, = json.loads(cloister.call("inspect", box).ok().out)
    unit = f"cloister-{box}.scope"
    shown = show(manager, unit)
    assert (shown["LoadState"], shown["ActiveState"], shown["Delegate"], shown["TasksMax"]) == ("loaded", "active", "yes", "infinity")
    assert shown["ControlGroup"].endswith(f"/{unit}")
    assert cgroup(seen["supervisor_pid"]) == shown["ControlGroup"] + "/cloister-self"
    assert cgroup(seen["init_pid"]) == shown["ControlGroup"] + f"/cloister-{box}"
    own = Path("/sys/fs/cgroup" + cgroup(seen["init_pid"]))
    assert (own / "memory.max").read_text().strip() == str(48 << 20)
    assert (own / "pids.max").read_text().strip() == "8"
    cloister.call("rm", "-f", box).ok()
    poll(lambda: show(manager, unit)["LoadState"] == "not-found", 20, "the scope stays")


@needs_systemd
def test_a_reload_takes_no_limit_away(cloister, manager, box):
    seen, = json.loads(cloister.call("inspect", box).ok().out)
    subprocess.run([*manager[0], "daemon-reload"], check=True)
    own = Path("/sys/fs/cgroup" + cgroup(seen["init_pid"]))
    assert (own / "memory.max").read_text().strip() == str(48 << 20)
    assert {"memory", "pids"} <= set((own / "cgroup.controllers").read_text().split())


@needs_systemd
def test_its_limits_hold(cloister, rootfs, manager):
    outcome = cloister.run(rootfs, "tail", "-c", "90000000", "/dev/zero", opts=[*MANAGER, "-m", "32m"], env=manager[1])
    assert outcome.result["status"] == "oom", f"{outcome}"
    outcome = cloister.run(rootfs, "sh", "-c", "exit 7", opts=[*MANAGER, "--cpus", "0.5"], env=manager[1])
    assert outcome.exit == 7 and outcome.result["usage"]["memory_peak_bytes"] > 0


@needs_systemd
def test_it_goes_with_a_killed_supervisor(cloister, manager, box):
    seen, = json.loads(cloister.call("inspect", box).ok().out)
    everybody = [seen["supervisor_pid"], *descendants(seen["supervisor_pid"])]
    os.kill(seen["supervisor_pid"], signal.SIGKILL)
    poll(lambda: not any(map(alive, everybody)), 20, "somebody stays")
    poll(lambda: show(manager, f"cloister-{box}.scope")["LoadState"] == "not-found", 20, "the scope stays")


@needs_systemd
def test_systemd_stops_it(cloister, manager, box):
    subprocess.run([*manager[0], "stop", f"cloister-{box}.scope"], check=True)
    assert int(cloister.call("wait", box).ok().word()) in {143, 137, 125}


@pytest.mark.skipif(IS_THERE, reason="systemd runs here")
def test_without_systemd_it_is_told(as_root, user_with_limits, rootfs, nothing_left):
    as_root.run(rootfs, "true", opts=MANAGER).refused("bus of systemd", "No such file", "--cgroup-manager")
    user_with_limits.run(rootfs, "true", opts=MANAGER, env={"XDG_RUNTIME_DIR": None}).refused("no systemd", "XDG_RUNTIME_DIR", "enable-linger")
    nothing_left()


def test_without_limits_it_has_nothing_to_give(as_root, rootfs):
    as_root.run(rootfs, "true", opts=[*MANAGER, "--without", "limits"]).refused("--cgroup-manager systemd", "--without limits")


def test_a_manager_that_is_none(cloister, rootfs):
    cloister.run(rootfs, "true", opts=["--cgroup-manager", "openrc"]).refused("--cgroup-manager", "cgroupfs, systemd", "openrc")


def test_a_bus_that_is_none(user_with_limits, rootfs):
    outcome = user_with_limits.run(rootfs, "true", opts=MANAGER, env={"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus"})
    outcome.refused("bus of this user's systemd", "No such file")


@needs_systemd
def test_what_systemd_refuses_is_told(as_root):
    helper = Path(as_root.binary).with_name("cloister-systemd")
    done = subprocess.run([helper, "scope", "0123456789abcdef", "system", "4194303"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "", done
    assert done.stderr.startswith("cloister-0123456789abcdef.scope: systemd says: ") and done.stderr.count("\n") == 1, done


@pytest.mark.parametrize("words", [[], ["scope"], ["scope", "a/b", "system", "1"], ["scope", "x" * 33, "system", "1"], ["scope", "", "system", "1"],
                                   ["scope", "a", "session", "1"], ["scope", "a", "system", "0"], ["scope", "a", "system", "-1"], ["scope", "a", "system", "1", "2"]])
def test_words_that_are_none(as_root, words):
    helper = Path(as_root.binary).with_name("cloister-systemd")
    done = subprocess.run([helper, *words], capture_output=True, text=True)
    assert done.returncode == 1 and "this program is cloister's" in done.stderr, done


def test_only_the_caller_says_so(as_root, rootfs, world):
    """Else a policy's or a job's author would lead the sandbox, and who supervises it, out of the limits of the caller's own cgroup."""
    place = as_root.directory("said")
    (place / "policy.yaml").write_text("cgroup_manager: systemd\n")
    as_root.run(rootfs, "true", opts=["--policy", place / "policy.yaml"]).refused("policy.yaml:1", "cgroup_manager", "belongs to a single run")
    (place / "job.yaml").write_text("image: host\npolicy: {cgroup_manager: systemd}\nsteps: [{name: a, run: 'true'}]\n")
    outcome = as_root.call("job", "run", str(place / "job.yaml"))
    assert outcome.exit == 125 and b"cgroup_manager" in outcome.err and b"belongs to a single run" in outcome.err, f"{outcome}"


@pytest.mark.skipif(IS_THERE, reason="systemd runs here")
def test_a_job_is_asked_for_by_its_caller(as_root):
    place = as_root.directory("job")
    (place / "job.yaml").write_text("image: host\nsteps: [{name: a, run: 'true'}]\n")
    outcome = as_root.call("job", "run", *MANAGER, str(place / "job.yaml"))
    assert outcome.exit == 125 and b"bus of systemd" in outcome.err, f"{outcome}"
