"""cloister-oci under Docker and Podman, each told of it as docs/oci.md says: a container's life by the engine's own command line.

Options, each seen from inside, are test_engines_options.py's.
"""

import json
import re
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.oci import cgroup_of
from lib.oci_engines import Docker, Podman
from lib.runner import poll
from lib.terminal import Terminal
from lib.world import own_cgroups

MIB = 1 << 20
TALKER = "trap 'stty size' WINCH; tty; stty size; until read x; do :; done; echo got $x; exit 5"  # a new size interrupts read
DOCKER_ALONE = pytest.mark.parametrize("engine", [Docker], indirect=True, ids=["docker"])


@pytest.fixture(scope="module", params=[Docker, Podman], ids=lambda kind: kind.name)
def engine(request, make_engine):
    return make_engine(request.param)


@pytest.fixture
def box(engine):
    name = engine.started()
    yield name
    engine.remove(name)


# a command

def test_run(engine):
    out = engine.run("sh", "-c", "echo $((6 * 7)); id -u; cat /proc/1/comm; true")
    assert out.split() == ["42", "0", "sh"]


def test_exit_statuses(engine):
    """With the words by which engines choose 126 and 127."""
    engine.run("sh", "-c", "exit 7", status=7)
    for program, status, needle in (("/no/such/program", 127, b"no such file"), ("/bin/not-executable", 126, b"permission denied")):
        done = engine.run(program, status=None)
        assert done.returncode == status and needle in done.stderr.lower(), done
    done = engine.run("true", options=["--sysctl", "net.no.such=1"], status=None)
    assert done.returncode in (125, 126, 127) and (b"no.such" in done.stderr or b"no/such" in done.stderr), done


def test_input_and_output(engine):
    assert engine.run("cat", options=["-i"], input=b"through") == "through"


def test_a_terminal_with_its_size(engine):
    with Terminal(rows=31, columns=77) as terminal:
        terminal.launch(engine.argv(*engine.run_words("--rm", "-it"), "box", "sh", "-c", TALKER), engine.env)
        terminal.expect(b"/dev/pts/0")
        terminal.expect(b"31 77")
        terminal.resize(24, 99)
        terminal.expect(b"24 99")
        terminal.type(b"word\n")
        terminal.expect(b"got word")
        assert terminal.wait().exit == 5


@DOCKER_ALONE  # podman 4.3 wants each key in a read of its own
def test_detach_by_keys_and_attach_again(engine):
    with Terminal() as terminal:
        words = engine.run_words("-it", "--name", "keyed", "--detach-keys", "ctrl-x,x")
        terminal.launch(engine.argv(*words, "box", "sh", "-c", "echo up; while read x; do echo got $x; done; exit 6"), engine.env)
        terminal.expect(b"up")
        poll(lambda: not terminal.settings()[3] & termios.ICANON, 20, "the keys are still the line discipline's")
        terminal.type(b"\x18x")
        assert terminal.wait().exit == 0
    try:
        assert engine.status("keyed") == "running"
        with Terminal() as terminal:
            terminal.launch(engine.argv("attach", "keyed"), engine.env)
            terminal.type(b"again\n")
            terminal.expect(b"got again")
            terminal.type(b"\x04")
            assert terminal.wait().exit == 6
    finally:
        engine.remove("keyed")


# exec

def test_exec(engine, box):
    assert engine.exec(box, "sh", "-c", "echo in; cat /proc/1/comm").split() == ["in", "sh"]
    engine.exec(box, "no-such-program", status=127 if engine.name == "podman" else 126)
    out = engine.exec(box, "sh", "-c", "echo $(id -u) $(id -g) $(pwd) $A", options=["-u", "1234:1235", "-w", "/tmp", "-e", "A=b"])
    assert out.split() == ["1234", "1235", "/tmp", "b"]
    assert engine.exec(box, "cat", options=["-i"], input=b"through") == "through"


def test_exec_privileged(engine, box):
    assert int(engine.exec(box, "grep", "CapEff", "/proc/self/status", options=["--privileged"]).split()[1], 16) >> 21 & 1 == 1


def test_exec_with_a_terminal(engine, box):
    with Terminal() as terminal:
        terminal.launch(engine.argv("exec", "-it", box, "sh", "-c", "tty; exit 4"), engine.env)
        terminal.expect(b"/dev/pts/")
        assert terminal.wait().exit == 4


def test_exec_in_the_background(engine, box):
    engine.exec(box, "sh", "-c", "echo done > /tmp/done", options=["-d"])
    poll(lambda: engine.exec(box, "sh", "-c", "cat /tmp/done 2>/dev/null || true") == "done\n", 20, "the command never ran")


def test_many_execs(engine, box):
    with ThreadPoolExecutor(8) as pool:
        outs = list(pool.map(lambda number: engine.exec(box, "sh", "-c", f"echo {number}; exit {number}", status=number), range(16)))
    assert [int(out) for out in outs] == list(range(16))


# a life

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
        for number in range(1, 4):
            assert engine.call("start", "-a", name, status=4).strip() == str(number)
    finally:
        engine.remove(name)


def test_restart(engine, box):
    before = engine.pid(box)
    engine.call("restart", "-t", "10", box)
    assert engine.status(box) == "running" and engine.pid(box) != before


def test_a_restart_policy(engine):
    name = engine.start("sh", "-c", "echo x >> /srv/starts; exit 9", options=["--restart", "on-failure:2"])
    try:
        poll(lambda: engine.status(name) == "exited" and engine.inspect(name, "{{.RestartCount}}") == "2", 60, lambda: f"{engine.inspect(name)['State']}")
        assert engine.inspect(name, "{{.State.ExitCode}}") == "9"
    finally:
        engine.remove(name)


def test_pause_holds_and_lets_go(engine):
    name = engine.started("sh", "-c", "echo up; while :; do echo x; sleep 0.01; done > /srv/now")
    try:
        engine.call("pause", name)
        place = Path(f"/proc/{engine.pid(name)}/root/srv/now")
        before = place.stat().st_size
        assert engine.status(name) == "paused" and engine.call("exec", name, "true", status=None).returncode != 0
        assert place.stat().st_size == before > 0
        engine.call("unpause", name)
        poll(lambda: place.stat().st_size > before, 10, "it doesn't go on")
        engine.call("pause", name)
        engine.remove(name)
    finally:
        engine.remove(name, status=None)


def test_files_go_in_and_out(engine, box, world):
    place = world.directory("copied")
    (place / "in").write_text("in\n")
    engine.call("cp", place / "in", f"{box}:/srv/in")
    assert engine.exec(box, "cat", "/srv/in") == "in\n"
    engine.call("cp", f"{box}:/etc/image-file", place / "out")
    assert (place / "out").read_text() == "image\n"
    assert "A /srv/in" in engine.call("diff", box)


def test_logs_top_stats_and_inspect(engine, box):
    assert engine.call("logs", box) == "up\n"
    assert "sleep" in engine.call("top", box)
    rows = json.loads(engine.call("stats", "--no-stream", "--format", "json" if engine.name == "podman" else "{{json .}}", box))
    row = rows[0] if isinstance(rows, list) else rows
    usage = row.get("mem_usage") or row.get("MemUsage")
    assert re.match(r"[1-9][\d.]*\s?[kKM]i?B", usage), row
    state = engine.inspect(box)["State"]
    assert state["Running"] is True and state["Pid"] > 0


def test_a_health_check(engine):
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


@DOCKER_ALONE  # podman 4.3 has it for cgroup v2 alone
def test_update(engine, box):
    if "memory" not in own_cgroups():
        pytest.skip("no cgroup v1 here")
    engine.call("update", "--memory", "80m", "--memory-swap", "80m", "--pids-limit", "55", "--cpu-shares", "222", box)
    pid = engine.pid(box)
    found = [(cgroup_of(pid, controller) / file).read_text().strip() for controller, file in
             (("memory", "memory.limit_in_bytes"), ("pids", "pids.max"), ("cpu", "cpu.shares"))]
    assert found == [str(80 * MIB), "55", "222"]


@DOCKER_ALONE  # test_engines_daemons.py has as many of containerd's; podman's take twice as long
def test_fifty_alive_at_once(engine):
    """Started side by side, all running, some asked, and all ended by one command."""
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: engine.start("sleep", "1000"), range(50)))
    try:
        assert set(engine.call("ps", "-q", "--no-trunc").split()) >= set(names)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda name: engine.exec(name, "cat", "/proc/1/comm"), names[::5])) == ["sleep\n"] * 10
    finally:
        engine.remove(*names)
    assert not set(engine.call("ps", "-aq", "--no-trunc").split()) & set(names)


def test_nothing_is_left(engine, box):
    places = own_cgroups(engine.pid(box)).values()
    assert any(box in path.name for path in places)
    engine.remove(box)
    assert box not in engine.call("ps", "-aq", "--no-trunc")
    assert [path for path in places if path.exists() and box in path.name] == []
