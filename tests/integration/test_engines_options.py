"""What docker's and podman's options ask of a runtime, each seen from inside its container."""

import json
import os
import re
import subprocess
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.oci_engines import Docker, Podman
from lib.runner import poll
from lib.terminal import Terminal
from lib.world import own_cgroups

MIB = 1 << 20
KINDS = {"pid": "pid", "ipc": "ipc", "network": "net", "uts": "uts"}


@pytest.fixture(scope="module", params=[Docker, Podman], ids=lambda kind: kind.name)
def engine(request, make_engine):
    return make_engine(request.param)


@pytest.fixture
def box(engine):
    name = engine.started()
    yield name
    engine.remove(name)


@pytest.fixture
def shared(world):
    """A directory of the host that everybody can write."""
    made = world.directory("shared")
    made.chmod(0o777)
    return made


# identity

def test_hostname_groups_and_home(engine):
    out = engine.run("sh", "-c", 'hostname; echo "$HOME"; id -G; pwd', options=["--hostname", "named", "--user", "1000:1000", "--group-add", "44", "--workdir", "/srv"])
    name, home, groups, where = out.splitlines()
    assert (name, home, where) == ("named", "/home/plain", "/srv") and {"1000", "44"} <= set(groups.split())


def test_ulimits_and_the_oom_score(engine):
    out = engine.run("sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj",
                     options=["--ulimit", "nofile=123:456", "--ulimit", "core=0", "--ulimit", "nproc=4096:4096", "--oom-score-adj", "321"])
    assert out.split() == ["123", "456", "0", "321"]


def test_no_new_privileges(engine):
    out = engine.run("grep", "NoNewPrivs", "/proc/self/status", options=["--security-opt", "no-new-privileges"])
    assert out.split()[1] == "1"


def test_capabilities_of_an_ordinary_user(engine):
    """Podman gives ambient ones where they are asked for; Docker has none."""
    out = engine.run("grep", "Cap[EB]", "/proc/self/status", options=["--user", "1000", "--cap-add", "NET_ADMIN"])
    found = {line.split(":")[0]: int(line.split()[1], 16) for line in out.splitlines()}
    assert found["CapBnd"] >> 12 & 1 == 1 and found["CapEff"] == (1 << 12 if engine.name == "podman" else 0)


def test_privileged_has_no_masks(engine):
    out = engine.run("sh", "-c", "grep -c ' /proc/' /proc/self/mountinfo; mount -t tmpfs x /mnt && echo mounted; echo 1 > /proc/sys/net/ipv4/ip_forward && echo set", options=["--privileged"])
    assert out.split() == ["0", "mounted", "set"]


# namespaces

@pytest.mark.parametrize("kind", ["pid", "ipc", "network"])
def test_the_namespace_of_another_container(engine, kind):
    first = engine.started(options=["--ipc", "shareable"] if kind == "ipc" else [])
    words = ["run", "-d", *engine.runtime, *([] if kind == "network" else engine.network), f"--{kind}", f"container:{first}"]
    second = engine.call(*words, "box", "sleep", "1000").strip()
    try:
        assert os.readlink(f"/proc/{engine.pid(second)}/ns/{KINDS[kind]}") == os.readlink(f"/proc/{engine.pid(first)}/ns/{KINDS[kind]}")
    finally:
        engine.remove(second)
        engine.remove(first)


@pytest.mark.parametrize("kind", ["pid", "ipc", "uts", "network", "cgroupns"])
def test_the_namespace_of_the_host(engine, kind):
    words = ["run", "--rm", *engine.runtime, *([] if kind == "network" else engine.network), f"--{kind}", "host", "box", "sh", "-c", "for each in /proc/self/ns/*; do readlink $each; done"]
    mine = os.readlink(f"/proc/self/ns/{ {**KINDS, 'cgroupns': 'cgroup'}[kind] }")
    assert mine in engine.call(*words).split()


def test_a_private_cgroup_namespace(engine):
    lines = engine.run("cat", "/proc/self/cgroup", options=["--cgroupns", "private"]).splitlines()
    joined = [line for line in lines if ":memory:" in line or ":pids:" in line or line.startswith("0::") and len(lines) == 1]
    assert joined and all(line.endswith(":/") for line in joined), lines


# mounts

def test_volumes_of_every_kind(engine, shared):
    (shared / "file").write_text("given\n")
    engine.call("volume", "create", "named")
    try:
        out = engine.run("sh", "-c", "cat /a/file /b; touch /c/x && echo wrote; touch /a/x /b 2>&1; grep -E ' /(a|b|c|d) ' /proc/self/mountinfo | wc -l",
                         options=["-v", f"{shared}:/a:ro", "-v", f"{shared}/file:/b:ro", "-v", "named:/c", "--mount", "type=tmpfs,destination=/d"])
        assert out.count("given") == 2 and "wrote" in out and out.count("Read-only") == 2 and out.split()[-1] == "4"
    finally:
        engine.call("volume", "rm", "named")


def test_a_volume_begins_with_what_the_image_has(engine):
    out = engine.run("sh", "-c", "ls /etc | grep -c passwd; touch /etc/new && echo wrote", options=["-v", "/etc"])
    assert out.split() == ["1", "wrote"]


def test_tmpfs_and_shm(engine):
    out = engine.run("sh", "-c", "df -k /t /dev/shm | awk 'NR>1 {print $2}'; stat -c %a /t; /t/nothing 2>&1; grep ' /t ' /proc/self/mountinfo",
                     options=["--tmpfs", "/t:size=2m,mode=1770", "--shm-size", "3m"])
    assert out.split()[:3] == ["2048", "3072", "1770"] and "nosuid" in out and "nodev" in out


@pytest.mark.parametrize("propagation, arrives", [("rslave", True), ("rprivate", False)])
def test_propagation_of_a_volume(engine, world, propagation, arrives):
    """A mount that the host makes later, seen in the mount namespace that this engine lives in."""
    place = world.directory("volume")
    within = engine.mounts.words()
    subprocess.run([*within, "mount", "-t", "tmpfs", "volume", place], check=True)
    subprocess.run([*within, "mount", "--make-rshared", place], check=True)
    subprocess.run([*within, "mkdir", place / "sub"], check=True)
    name = engine.started(options=["-v", f"{place}:/data:{propagation}"])
    try:
        subprocess.run([*within, "mount", "-t", "tmpfs", "later", place / "sub"], check=True)
        assert (" /data/sub " in engine.exec(name, "cat", "/proc/self/mountinfo")) == arrives
    finally:
        engine.remove(name)
        subprocess.run([*within, "umount", "-R", place], check=True)


def test_a_read_only_root_with_places_to_write(engine):
    out = engine.run("sh", "-c", "touch /x 2>&1; touch /run/x && echo wrote; touch /dev/shm/x && echo wrote", options=["--read-only", "--tmpfs", "/run"])
    assert "Read-only" in out and out.count("wrote") == 2


# devices, sysctl

def test_a_device(engine):
    out = engine.run("sh", "-c", "stat -c '%F %t:%T' /dev/given; (: < /dev/given) && echo open; (: > /dev/given) 2>&1 || echo held", options=["--device", "/dev/fuse:/dev/given:r"])
    assert out.startswith("character special file a:e5") and "open" in out and "held" in out


def test_a_rule_for_devices(engine):
    out = engine.run("sh", "-c", "mknod /srv/n c 10 237 && (: < /srv/n) && echo open; mknod /srv/m c 10 229 && (: < /srv/m) 2>&1 || echo held",
                     options=["--device-cgroup-rule", "c 10:237 rmw"])
    assert "open" in out and "held" in out


def test_sysctl(engine):
    out = engine.run("cat", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/msgmax", options=["--sysctl", "net.core.somaxconn=321", "--sysctl", "kernel.msgmax=54321"])
    assert out.split() == ["321", "54321"]


# limits

def cgroup(engine, name, controller):
    """The container's directory of a controller."""
    return next(path for names, path in own_cgroups(engine.pid(name)).items() if controller in names.split(","))


@pytest.mark.parametrize("options, controller, file, value", [
    (["-m", "70m"], "memory", "memory.limit_in_bytes", str(70 * MIB)), (["-m", "70m", "--memory-reservation", "35m"], "memory", "memory.soft_limit_in_bytes", str(35 * MIB)),
    (["--cpus", "0.5"], "cpu", "cpu.cfs_quota_us", "50000"), (["--cpu-shares", "333"], "cpu", "cpu.shares", "333"), (["--cpuset-cpus", "0"], "cpuset", "cpuset.cpus", "0"),
    (["--pids-limit", "77"], "pids", "pids.max", "77"), (["--pids-limit", "-1"], "pids", "pids.max", "max"),
    (["--cpu-period", "50000", "--cpu-quota", "20000"], "cpu", "cpu.cfs_period_us", "50000")], ids=lambda value: " ".join(value) if isinstance(value, list) else str(value))
def test_limits(engine, options, controller, file, value):
    if "memory" not in own_cgroups():
        pytest.skip("no cgroup v1 here")
    name = engine.started(options=options)
    try:
        assert (cgroup(engine, name, controller) / file).read_text().strip() == value
    finally:
        engine.remove(name)


def test_who_takes_too_much_memory_is_ended(engine):
    """Docker reports it as such; podman 4.3's monitor can't see it under v1 with any runtime that is not root's own cgroup."""
    name = engine.create("sh", "-c", "dd if=/dev/zero of=/dev/shm/big bs=1M count=200", options=["-m", "48m", "--memory-swap", "48m", "--shm-size", "300m"])
    try:
        engine.call("start", "-a", name, status=None)
        assert engine.inspect(name, "{{.State.ExitCode}}") == "137"
        if engine.name == "docker":
            poll(lambda: engine.inspect(name, "{{.State.OOMKilled}}") == "true", 10, "no word of the OOM killer")
    finally:
        engine.remove(name)


def test_forks_without_end_are_held(engine):
    name = engine.started("sh", "-c", "echo up; sh -c 'while :; do sleep 1000 & done' 2>/dev/null; exec sleep 1000", options=["--pids-limit", "30"])
    try:
        assert int((cgroup(engine, name, "pids") / "pids.current").read_text()) <= 30
        assert engine.status(name) == "running"
    finally:
        engine.remove(name)


# a life

def test_attach_with_its_size_and_keys(engine):
    with Terminal(rows=31, columns=77) as terminal:
        terminal.launch(engine.argv(*engine.run_words("--rm", "-it"), "box", "sh", "-c", "trap 'stty size' WINCH; stty size; read x || read x; echo got $x; exit 5"), engine.env)
        terminal.expect(b"31 77")
        terminal.resize(24, 99)
        terminal.expect(b"24 99")  # which may have interrupted the first read
        terminal.type(b"word\n")
        terminal.expect(b"got word")
        assert terminal.wait().exit == 5


@pytest.mark.parametrize("engine", [Docker], indirect=True, ids=["docker"])  # podman 4.3 wants each key in a read of its own
def test_detach_by_keys_and_attach_again(engine):
    name = "keyed"
    with Terminal() as terminal:
        terminal.launch(engine.argv(*engine.run_words("-it", "--name", "keyed", "--detach-keys", "ctrl-x,x"), "box", "sh", "-c", "echo up; while read x; do echo got $x; done; exit 6"), engine.env)
        terminal.expect(b"up")
        poll(lambda: not terminal.settings()[3] & termios.ICANON, 20, "the keys are still the line discipline's")
        terminal.type(b"\x18x")
        assert terminal.wait().exit == 0
    try:
        assert engine.status(name) == "running"
        with Terminal() as terminal:
            terminal.launch(engine.argv("attach", name), engine.env)
            terminal.type(b"again\n")
            terminal.expect(b"got again")
            terminal.type(b"\x04")
            assert terminal.wait().exit == 6
    finally:
        engine.remove(name)


def test_exec_in_the_background(engine, box):
    engine.exec(box, "sh", "-c", "echo done > /tmp/done", options=["-d"])
    poll(lambda: engine.exec(box, "sh", "-c", "cat /tmp/done 2>/dev/null || true") == "done\n", 20, "the command never ran")


def test_many_execs(engine, box):
    with ThreadPoolExecutor(8) as pool:
        outs = list(pool.map(lambda number: engine.exec(box, "sh", "-c", f"echo {number}; exit {number}", status=number), range(24)))
    assert [int(out) for out in outs] == list(range(24))


def test_exec_privileged_and_as_somebody(engine, box):
    assert int(engine.exec(box, "grep", "CapEff", "/proc/self/status", options=["--privileged"]).split()[1], 16) >> 21 & 1 == 1
    assert engine.exec(box, "sh", "-c", "id -u; id -g", options=["--user", "1234:1235"]).split() == ["1234", "1235"]
    assert engine.exec(box, "cat", options=["-i"], input=b"through") == "through"


@pytest.mark.parametrize("word, number", [("HUP", 1), ("USR1", 10), ("9", 9)])
def test_kill_with_a_signal(engine, word, number):
    name = engine.started("sh", "-c", "trap 'exit 41' HUP; trap 'exit 50' USR1; echo up; while :; do sleep 0.1; done")
    try:
        engine.call("kill", "-s", word, name)
        assert engine.call("wait", name).strip() == str(137 if number == 9 else 40 + number)
    finally:
        engine.remove(name)


def test_stop_asks_first_and_then_ends(engine):
    polite, deaf = engine.started(), engine.started("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done")
    try:
        engine.call("stop", "-t", "30", polite)
        engine.call("stop", "-t", "1", deaf)
        assert [engine.inspect(name, "{{.State.ExitCode}}") for name in (polite, deaf)] == ["3", "137"]
        assert "ended" in engine.call("logs", polite)
    finally:
        engine.remove(polite, deaf)


def test_start_again_and_again(engine):
    """The same container with the same id, and what it wrote before."""
    name = engine.create("sh", "-c", "echo x >> /srv/starts; wc -l < /srv/starts; exit 4")
    try:
        for number in range(1, 6):
            assert engine.call("start", "-a", name, status=4).strip() == str(number)
    finally:
        engine.remove(name)


def test_a_restart_policy(engine):
    name = engine.start("sh", "-c", "echo x >> /srv/starts; exit 9", options=["--restart", "on-failure:3"])
    try:
        poll(lambda: engine.status(name) == "exited" and engine.inspect(name, "{{.RestartCount}}") == "3", 60, lambda: f"{engine.inspect(name)['State']}")
        assert engine.inspect(name, "{{.State.ExitCode}}") == "9"
    finally:
        engine.remove(name)


def test_pause_holds_and_lets_go(engine):
    name = engine.started("sh", "-c", "echo up; while :; do echo x; sleep 0.01; done > /srv/now")
    try:
        engine.call("pause", name)
        place = Path(f"/proc/{engine.pid(name)}/root/srv/now")
        before = place.stat().st_size
        assert engine.call("exec", name, "true", status=None).returncode != 0
        assert place.stat().st_size == before > 0
        engine.call("unpause", name)
        poll(lambda: place.stat().st_size > before, 10, "it doesn't go on")
        engine.call("pause", name)
        engine.call("rm", "-f", name)
    finally:
        engine.call("rm", "-f", name, status=None)


def test_files_go_in_and_out(engine, box, shared):
    (shared / "in").write_text("in\n")
    engine.call("cp", shared / "in", f"{box}:/srv/in")
    assert engine.exec(box, "cat", "/srv/in") == "in\n"
    engine.call("cp", f"{box}:/etc/image-file", shared / "out")
    assert (shared / "out").read_text() == "image\n"
    assert "A /srv/in" in engine.call("diff", box)


def test_top_stats_and_inspect(engine, box):
    assert "sleep" in engine.call("top", box)
    rows = json.loads(engine.call("stats", "--no-stream", "--format", "json" if engine.name == "podman" else "{{json .}}", box))
    row = rows[0] if isinstance(rows, list) else rows
    usage = row.get("mem_usage") or row.get("MemUsage")
    assert re.match(r"[1-9][\d.]*\s?[kKM]i?B", usage), row
    state = engine.inspect(box)["State"]
    assert state["Running"] is True and state["Pid"] > 0


def test_a_health_check_that_fails(engine):
    """Its command is an exec; Docker runs it by itself."""
    options = ["--health-cmd", "test -e /srv/well", "--health-interval", "1s" if engine.name == "docker" else "disable", "--health-retries", "1"]
    name = engine.started(options=options)

    def health():
        if engine.name == "podman":
            return "healthy" if engine.call("healthcheck", "run", name, status=None).returncode == 0 else "unhealthy"
        return engine.inspect(name, "{{.State.Health.Status}}")
    try:
        poll(lambda: health() == "unhealthy", 60, lambda: f"{health()}")
        engine.exec(name, "touch", "/srv/well")
        poll(lambda: health() == "healthy", 60, lambda: f"{health()}")
    finally:
        engine.remove(name)


def test_fifty_alive_at_once(engine):
    """Started side by side, all running, each answering, and all ended by one command."""
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: engine.start("sleep", "1000"), range(50)))
    try:
        assert set(engine.call("ps", "-q", "--no-trunc").split()) >= set(names)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda name: engine.exec(name, "cat", "/proc/1/comm"), names)) == ["sleep\n"] * 50
    finally:
        engine.remove(*names)
    assert not set(engine.call("ps", "-aq", "--no-trunc").split()) & set(names)


@pytest.mark.parametrize("engine", [Docker], indirect=True, ids=["docker"])  # podman 4.3 has it for cgroup v2 alone
def test_update(engine, box):
    if "memory" not in own_cgroups():
        pytest.skip("no cgroup v1 here")
    engine.call("update", "--memory", "80m", "--memory-swap", "80m", "--pids-limit", "55", "--cpu-shares", "222", box)
    found = [(cgroup(engine, box, controller) / file).read_text().strip() for controller, file in
             (("memory", "memory.limit_in_bytes"), ("pids", "pids.max"), ("cpu", "cpu.shares"))]
    assert found == [str(80 * MIB), "55", "222"]


def test_an_error_of_the_runtime_reaches_people(engine):
    """With the words by which 126 and 127 are chosen."""
    done = engine.call(*engine.run_words("--rm"), "box", "/no/such/program", status=None)
    assert done.returncode == 127 and b"no such file" in done.stderr.lower(), done
    done = engine.call(*engine.run_words("--rm"), "box", "/bin/not-executable", status=None)
    assert done.returncode == 126 and b"permission denied" in done.stderr.lower(), done
    done = engine.call(*engine.run_words("--rm", "--sysctl", "net.no.such=1"), "box", "true", status=None)
    assert done.returncode in (125, 126, 127) and (b"no.such" in done.stderr or b"no/such" in done.stderr), done
