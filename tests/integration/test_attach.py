"""attach: a client at a detached sandbox, its output from then on and input for it."""

import os
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib.runner import Running, alive, descendants, descriptors, poll
from lib.terminal import Terminal

MIB = 1 << 20
ECHO = 'while read -r line; do echo "got $line"; done; echo end; exit 5'


def is_attached(pid):
    """Whether what is written from now on will be shown by the client PID."""
    try:
        held = descriptors(pid).values()
    except OSError:
        return False
    return any("signalfd" in target for target in held) and any("inotify" in target for target in held)


@contextmanager
def attach(box, *options, wait=True, **more):
    with Running(box.cloister.argv("attach", *options, box.id), env=box.cloister.environment(), cwd="/", **more) as running:
        if wait:
            poll(lambda: is_attached(running.pid) or running.process.poll() is not None, 10, "it never attached")
        yield running


@pytest.fixture
def terminal():
    with Terminal() as made:
        yield made


def sit_at(terminal, box, *options):
    return terminal.launch(box.cloister.argv("attach", *options, box.id), box.cloister.environment({"TERM": "vt100"}))


def wait_for_log(box, wanted):
    poll(lambda: wanted in box.logs()[0], 10, lambda: f"{wanted!r} never came: {box.logs()!r}")


# -- input

def test_input_goes_to_the_command_and_ends_there(detach):
    box = detach("sh", "-c", ECHO, opts=["-i"])
    outcome = box.call("attach", input=b"one\ntwo\n")
    assert outcome.exit == 5 and outcome.out == b"got one\ngot two\nend\n" and outcome.err == b"", f"{outcome}"
    assert box.logs() == (b"got one\ngot two\nend\n", b"")


def test_it_waits_for_input_until_somebody_attaches(detach):
    """Neither /dev/null nor the input of who started it."""
    box = detach("sh", "-c", "readlink /proc/self/fd/0; " + ECHO, opts=["-i"], input=b"not this\n")
    wait_for_log(box, b"\n")
    assert re.fullmatch(rb"pipe:\[\d+\]\n", box.logs()[0])
    assert box.call("attach", input=b"this\n").out == b"got this\nend\n"


def test_a_file_is_input(detach, world):
    path = world.directory("input") / "file"
    path.write_bytes(b"from a file\n")
    box = detach("sh", "-c", ECHO, opts=["-i"])
    with open(path, "rb") as file:
        outcome = box.call("attach", stdin=file)
    assert outcome.exit == 5 and outcome.out == b"got from a file\nend\n", f"{outcome}"


def test_much_input_comes_whole(detach):
    data = os.urandom(3 * MIB)
    box = detach("sh", "-c", "md5sum; wc -c < /dev/null", opts=["-i"])
    outcome = box.call("attach", input=data).ok()
    wanted = subprocess.run(["md5sum"], input=data, capture_output=True, check=True).stdout.split()[0]
    assert outcome.out.split()[0] == wanted


@pytest.mark.parametrize("options,stdin", [([], subprocess.DEVNULL), (["--no-stdin"], subprocess.PIPE)])
def test_what_is_no_input_ends_nothing(detach, options, stdin):
    box = detach("sh", "-c", ECHO, opts=["-i"])
    with attach(box, *options, stdin=stdin) as watching:
        if stdin == subprocess.PIPE:
            watching.send(b"not this\n")
            watching.close_stdin()
        outcome = box.call("attach", input=b"more\n")
        assert outcome.exit == 5 and outcome.out == b"got more\nend\n", f"{outcome}"
        assert watching.wait(10).exit == 5 and watching.out == b"got more\nend\n"


def test_after_its_end_there_is_no_input(detach):
    box = detach("sh", "-c", "cat; echo end; exec probe trap 3", opts=["-i"])
    with attach(box) as first:
        first.send(b"one\n")
        first.expect(b"one\n")
        first.close_stdin()
        first.expect(b"ready\n")
        with attach(box) as second:
            second.send(b"nobody's\n")
            first.signal(signal.SIGTERM)
            second.expect(b"got 15\n")
            assert second.wait(10).exit == 3
        assert first.wait(10).exit == 3 and b"nobody" not in first.out


def test_without_i_input_goes_nowhere(detach):
    box = detach("sh", "-c", "readlink /proc/self/fd/0; exec probe trap 3")
    wait_for_log(box, b"ready\n")
    assert box.logs()[0].startswith(b"/dev/null\n")
    with attach(box) as client:
        client.send(b"something")
        client.close_stdin()
        box.call("kill", "-s", "TERM").ok()
        assert client.wait(10).exit == 3 and client.out == b"got 15\n"


def test_a_command_that_reads_no_more_ends_nothing(detach):
    box = detach("sh", "-c", "exec < /dev/null; echo closed; exec probe trap 3", opts=["-i"])
    wait_for_log(box, b"ready\n")
    with attach(box) as client:
        client.send(b"x" * 4096)
        client.signal(signal.SIGUSR1)
        assert client.wait(10).exit == 3 and client.out == b"got 10\n" and client.err == b""


def test_the_input_can_not_be_of_two_kinds(cloister, rootfs, world):
    path = world.directory("input") / "file"
    path.touch()
    cloister.detach(rootfs, "cat", opts=["-i", "--stdin", str(path)]).refused("--stdin", "--interactive exclude")


# -- output

def test_from_now_on(detach):
    box = detach("sh", "-c", "echo before; read -r line; echo after; echo err >&2; exit 0", opts=["-i"])
    wait_for_log(box, b"before\n")
    outcome = box.call("attach", input=b"\n").ok()
    assert (outcome.out, outcome.err) == (b"after\n", b"err\n")
    assert box.logs() == (b"before\nafter\n", b"err\n")


def test_both_streams_in_their_order(detach):
    box = detach("sh", "-c", "read -r l; i=0; while [ $i -lt 50 ]; do echo o$i; sleep 0.002; echo e$i >&2; sleep 0.002; i=$((i+1)); done", opts=["-i"])
    outcome = box.call("attach", input=b"\n", stderr=subprocess.STDOUT).ok()
    assert outcome.lines() == [f"{kind}{i}" for i in range(50) for kind in "oe"]


def test_raw_bytes(detach):
    box = detach("sh", "-c", "read -r l; head -c 3000000 /dev/urandom", opts=["-i"])
    outcome = box.call("attach", input=b"\n").ok()
    assert len(outcome.out) == 3000000 and outcome.out == box.logs()[0]


def test_over_rotations_nothing_is_missing_for_who_reads(detach):
    box = detach("sh", "-c", "read -r l; seq -w 1000000 9000000", opts=["-i"])
    outcome = box.call("attach", input=b"\n", timeout=120).ok()
    assert outcome.err == b""
    first, last = outcome.out[:8], outcome.out[-8:]
    assert (first, last, len(outcome.out)) == (b"1000000\n", b"9000000\n", 8 * 8000001)


def test_a_file_takes_it(detach, world):
    path = world.directory("out") / "file"
    box = detach("sh", "-c", "read -r l; seq 100000", opts=["-i"])
    with open(path, "wb") as file:
        box.call("attach", input=b"\n", stdout=file).ok()
    assert path.read_bytes() == b"".join(b"%d\n" % i for i in range(1, 100001))


def test_nobody_waits_for_a_client_that_does_not_read(detach):
    """The sandbox comes to its end at once; what the client missed it is told when it reads."""
    box = detach("sh", "-c", "read -r l; head -c 100000000 /dev/zero; exit 4", opts=["-i"])
    out, into = os.pipe()
    with Running(box.cloister.argv("attach", box.id), env=box.cloister.environment(), cwd="/", stdout=into) as client:
        os.close(into)
        client.send(b"\n")
        assert box.exit_status() == 4
        assert client.process.poll() is None
        with open(out, "rb") as reading:
            got = reading.read()
        assert client.wait(20).exit == 4
    said = re.search(r"cloister: here (\d+)\.?\d* MiB or so are missing: they were written faster than read here\n", client.err.decode())
    assert said, client.err
    missing = 100000000 - len(got)
    assert 32 * MIB < len(got) < 68 * MIB and abs(missing / MIB - int(said[1])) < 17, (len(got), client.err)


def test_of_one_that_is_not_to_be_kept_all_is_carried(detach):
    box = detach("sh", "-c", "read -r l; seq -w 1000000 4500000; exit 4", opts=["-i", "--rm"])
    out, into = os.pipe()
    with Running(box.cloister.argv("attach", box.id), env=box.cloister.environment(), cwd="/", stdout=into) as client:
        os.close(into)
        client.send(b"\n")
        poll(lambda: not box.place.exists(), 60, "it stays")
        with open(out, "rb") as reading:
            got = reading.read()
        assert client.wait(20).exit == 4 and client.err == b""
    assert len(got) == 8 * 3500001 and got.endswith(b"4500000\n")


def test_a_reader_who_goes_ends_the_client_alone(detach):
    box = detach("sh", "-c", "while :; do echo y; sleep 0.01; done")
    argv = box.cloister.argv("attach", box.id)
    ran = subprocess.run(["bash", "-c", '"$@" | head -n 1; echo ${PIPESTATUS[0]}', "bash", *map(str, argv)],
                         env=box.cloister.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=30, cwd="/")
    assert ran.stdout == b"y\n141\n" and ran.stderr == b"", ran
    assert box.inspect()["status"] == "running"


# -- ends

@pytest.mark.parametrize("command,opts,status,said", [
    ("exit 0", [], 0, None), ("exit 9", [], 9, None), ("kill -9 $$", [], 137, "ended by signal 9"),
    ("sleep 1000", ["--timeout", "0.5s", "--stop-grace", "0"], 124, "time limit"),
    ("while :; do echo xxxxxxxxxxxxxxxx; done", ["--output-limit", "64k"], 137, "output limit")])
def test_its_exit_status_is_the_sandbox_s(detach, command, opts, status, said):
    box = detach("sh", "-c", "read -r l; " + command, opts=["-i", *opts])
    outcome = box.call("attach", input=b"\n")
    assert outcome.exit == status == box.exit_status(), f"{outcome}"
    if said is None:
        assert outcome.err == b""
    else:
        assert outcome.err.startswith(b"cloister: ") and outcome.err.count(b"\n") == 1 and said.encode() in outcome.err, f"{outcome}"


def test_the_last_words_come_first(detach):
    for _ in range(20):
        box = detach("sh", "-c", "read -r l; echo last words; exit 3", opts=["-i", "--rm"])
        outcome = box.call("attach", input=b"\n")
        assert outcome.exit == 3 and outcome.out == b"last words\n", f"{outcome}"


def test_a_killed_supervisor(detach):
    box = detach("probe", "trap")
    wait_for_log(box, b"ready\n")
    with attach(box) as client:
        os.kill(box.supervisor, signal.SIGKILL)
        outcome = client.wait(10)
        assert outcome.exit == 125 and outcome.err == b"cloister: its supervisor was killed\n", f"{outcome}"


def test_what_can_not_be_attached_to(detach, cloister, rootfs):
    box = detach("true")
    assert box.exit_status() == 0
    box.call("attach").refused(f"sandbox {box.id} has ended", "logs")
    with cloister.start(rootfs, "probe", "trap", "0", opts=["--name", "front"]) as running:
        running.expect(b"ready\n")
        cloister.call("attach", "front").refused("in the foreground", "run --detach")
        running.signal(signal.SIGTERM)
        assert running.wait().exit == 0
    cloister.call("attach").refused("name one sandbox")
    cloister.call("attach", "no-such").refused('no sandbox "no-such"')


@pytest.mark.parametrize("option,said", [
    ("--detach-keys=", "expected keys"), ("--detach-keys=ctrl-", "expected keys"), ("--detach-keys=ab", "expected keys"),
    ("--detach-keys=ctrl-p,", "expected keys"), ("--detach-keys=" + ",".join("a" * 17), "more than 16"), ("--sig-proxy=no", "true or false")])
def test_options_that_make_no_sense(cloister, option, said):
    cloister.call("attach", option, "x").refused(option.split("=")[0], said)


@pytest.mark.parametrize("keep", [[], ["--rm"]])
def test_one_that_ends_at_that_moment(detach, keep):
    """Either it was there in time and has the exit status, or it is told."""
    told = 0
    for step in range(30):
        box = detach("sh", "-c", f"sleep 0.0{step % 10}; exit 7", opts=keep)
        outcome = box.call("attach")
        if outcome.exit == 125:
            assert re.fullmatch(rb"cloister: (sandbox [0-9a-f]{16} has ended.*|no sandbox.*)\n", outcome.err), f"{outcome}"
            told += 1
        else:
            assert outcome.exit == 7 and outcome.err == b"", f"{outcome}"
    assert told < 30, "nobody ever came in time"


def test_another_user_is_refused(detach, cloister, as_user, as_root):
    """Root's are not found by others, and a user's only by root who says where they are."""
    box = detach("probe", "trap", opts=["-i"])
    other = as_user if cloister.identity == "root" else as_root
    outcome = other.call("attach", box.id)
    outcome.refused("no sandbox")
    if cloister.identity == "root":
        where = {"XDG_RUNTIME_DIR": "/run", "XDG_STATE_HOME": "/var/lib"}
        assert other.call("attach", box.id, env=where).exit == 125
        reached = subprocess.run(["setpriv", f"--reuid={other.uid}", f"--regid={other.gid}", "--clear-groups", "ls", str(cloister.state() / "bells")], capture_output=True)
        assert reached.returncode != 0 and b"Permission denied" in reached.stderr
    assert box.inspect()["status"] == "running"


# -- signals

@pytest.mark.parametrize("name", ["INT", "TERM", "QUIT", "USR1", "USR2"])
def test_signals_go_on(detach, name):
    box = detach("probe", "trap", "3")
    wait_for_log(box, b"ready\n")
    number = int(signal.Signals[f"SIG{name}"])
    with attach(box) as client:
        client.signal(number)
        outcome = client.wait(10)
        assert outcome.exit == 3 and outcome.out == b"got %d\n" % number, f"{outcome}"


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_signals_that_do_not_go_on_end_the_client(detach, name):
    box = detach("probe", "trap", "3", opts=["-i"])
    wait_for_log(box, b"ready\n")
    number = int(signal.Signals[f"SIG{name}"])
    with attach(box, "--sig-proxy=false") as client:
        client.signal(number)
        assert client.wait(10).exit == 128 + number
    assert box.inspect()["status"] == "running" and box.logs()[0] == b"ready\n"


def test_the_third_interrupt_lets_go(detach):
    box = detach("probe", "trap")
    wait_for_log(box, b"ready\n")
    with attach(box) as client:
        for count in (1, 2):
            client.signal(signal.SIGINT)
            client.expect(b"got 2\n" * count)
        client.signal(signal.SIGINT)
        outcome = client.wait(10)
        assert outcome.exit == 130 and outcome.err.decode() == f"cloister: detached; sandbox {box.id} runs on\n", f"{outcome}"
    assert box.inspect()["status"] == "running"


def test_a_hangup_is_the_client_s(detach):
    box = detach("probe", "trap", "3")
    wait_for_log(box, b"ready\n")
    with attach(box) as client:
        client.signal(signal.SIGHUP)
        assert client.wait(10).exit == 129
    assert box.logs()[0] == b"ready\n"


def test_a_killed_client_closes_nothing(detach):
    box = detach("sh", "-c", ECHO, opts=["-i"])
    for count in range(10):
        with attach(box) as client:
            client.send(b"%d\n" % count)
            client.expect(b"got %d\n" % count)
            client.signal(signal.SIGKILL)
            assert client.wait(10).exit == -signal.SIGKILL
    outcome = box.call("attach", input=b"last\n")
    assert outcome.exit == 5 and outcome.out == b"got last\nend\n", f"{outcome}"


# -- several

def test_two_at_once(detach):
    box = detach("sh", "-c", ECHO, opts=["-i"])
    with attach(box) as first, attach(box) as second:
        first.send(b"from one\n")
        for client in (first, second):
            client.expect(b"got from one\n")
        second.send(b"from two\n")
        for client in (first, second):
            client.expect(b"got from two\n")
        second.close_stdin()
        first.signal(signal.SIGKILL)  # the last who holds the input open
        outcome = second.wait(10)
        assert outcome.exit == 5 and outcome.out == b"got from one\ngot from two\nend\n", f"{outcome}"


@pytest.mark.parametrize("tty", [False, True])
def test_attach_and_detach_two_hundred_times(detach, tty):
    """Nothing stays of it, in the supervisor least of all."""
    box = detach("sh", "-c", ECHO, opts=["-i", "-t"] if tty else ["-i"])
    supervisor = box.supervisor

    def held():
        pss = int(re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{supervisor}/smaps_rollup").read_text(), re.MULTILINE)[1])
        return len(os.listdir(f"/proc/{supervisor}/fd")), pss
    with attach(box):
        pass
    before, _ = held()
    for count in range(200):
        with attach(box, wait=count % 2 == 0) as client:
            client.signal(signal.SIGKILL)
    poll(lambda: held()[0] == before, 10, lambda: f"{before} descriptors, now {held()[0]}")
    assert held()[1] <= 512, f"PSS of the supervisor: {held()[1]} KiB"
    bells = box.cloister.state() / "bells"
    box.cloister.call("prune").ok()  # what was killed while it asked is swept
    assert [*bells.glob("client-*"), *bells.glob("exec-*")] == []
    with attach(box) as client:
        client.send(b"still there\n")
        client.expect(b"got still there")
        box.call("kill").ok()
        assert client.wait(10).exit == 137


# -- terminals

def test_a_terminal_is_the_commands(detach, terminal):
    box = detach("sh", "-c", "stty -echo; read -r l; stty size; read -r l; echo said $l; exit 6", opts=["-it"])
    sit_at(terminal, box)
    terminal.type(b"\r")
    terminal.expect(b"40 100\r\n")
    assert terminal.settings() != terminal.before, "not raw"
    terminal.type(b"\xc3\xa4\x1b[A\r")
    outcome = terminal.wait()
    assert outcome.exit == 6 and b"said \xc3\xa4\x1b[A\r\n" in outcome.out, f"{outcome}"
    assert terminal.settings() == terminal.before


def test_control_c_goes_through_the_terminal(detach, terminal):
    box = detach("probe", "trap", "7", opts=["-it"])
    sit_at(terminal, box)
    wait_for_log(box, b"ready")
    poll(lambda: terminal.settings() != terminal.before, 10, "never raw")
    terminal.type(b"\x03")
    assert terminal.wait().exit == 7 and terminal.settings() == terminal.before


def test_a_resize_storm(detach, terminal):
    box = detach("probe", "trap", opts=["-it"])
    wait_for_log(box, b"ready")
    sit_at(terminal, box)
    terminal.expect(b"size 40 100")
    for count in range(300):
        terminal.resize(20 + count % 50, 60 + count % 70)
    terminal.resize(33, 77)
    terminal.expect(b"size 33 77")
    terminal.type(b"\x10\x11")
    assert terminal.wait().exit == 0


@pytest.mark.parametrize("options,keys", [([], [b"\x10\x11"]), ([], [b"\x10", b"\x11"]), (["--detach-keys", "ctrl-@,x,ctrl-]"], [b"\0x", b"\x1d"])])
def test_detach_keys(detach, terminal, options, keys):
    box = detach("sh", "-c", "stty -echo; " + ECHO, opts=["-it"])
    sit_at(terminal, box, *options)
    terminal.type(b"one\r")
    terminal.expect(b"got one\r\n")
    for key in keys:
        terminal.type(key)
    outcome = terminal.wait()
    assert outcome.exit == 0 and outcome.out.endswith(f"cloister: detached; sandbox {box.id} runs on\r\n".encode()), f"{outcome}"
    assert terminal.settings() == terminal.before
    assert box.inspect()["status"] == "running"


def test_keys_that_only_begin_like_them_go_on(detach, terminal):
    box = detach("sh", "-c", "stty raw -echo; echo raw; head -c 5 | od -An -tx1; exit 2", opts=["-it"])
    wait_for_log(box, b"raw")
    sit_at(terminal, box)
    poll(lambda: terminal.settings() != terminal.before, 10, "never raw")
    for key in (b"\x10", b"\x10", b"a\x11", b"\x10", b"b"):
        terminal.type(key)
    outcome = terminal.wait()
    assert outcome.exit == 2 and b"10 10 61 11 10" in outcome.out, f"{outcome}"


def test_a_pipe_into_a_terminal_ends_it(detach):
    box = detach("sh", "-c", "stty -echo; echo quiet; " + ECHO, opts=["-it"])
    wait_for_log(box, b"quiet")
    outcome = box.call("attach", input=b"one\n")
    assert outcome.exit == 5 and outcome.out.endswith(b"got one\r\nend\r\n"), f"{outcome}"


def test_a_terminal_that_goes_ends_nothing(detach):
    """Neither the command nor its input, with a pty and without."""
    for opts in (["-i"], ["-it"]):
        box = detach("sh", "-c", ECHO, opts=opts)
        master, slave = os.openpty()
        process = subprocess.Popen(["setsid", "-c", "-w", *map(str, box.cloister.argv("attach", box.id))],
                                   stdin=slave, stdout=slave, stderr=slave, env=box.cloister.environment(), cwd="/")
        os.close(slave)
        client = poll(lambda: next((pid for pid in (process.pid, *descendants(process.pid)) if is_attached(pid)), None), 10, "it never attached")
        os.close(master)
        process.wait(20)
        poll(lambda: not alive(client), 10, "it stays")
        outcome = box.call("attach", input=b"still\n")
        assert outcome.exit == 5 and b"got still" in outcome.out, f"{outcome}"


def test_the_callers_terminal_without_a_pty(detach, terminal):
    """It stays as it is; its end of file is the command's, and ^C a signal."""
    box = detach("sh", "-c", ECHO, opts=["-i"])
    sit_at(terminal, box)
    terminal.type(b"one\n")
    terminal.expect(b"got one\r\n")
    assert terminal.settings() == terminal.before
    terminal.type(b"\x04")
    assert terminal.wait().exit == 5
    box = detach("probe", "trap", "3", opts=["-i"])
    wait_for_log(box, b"ready")
    with Terminal() as other:
        sit_at(other, box)
        poll(lambda: any(map(is_attached, (other.process.pid, *descendants(other.process.pid)))), 10, "it never attached")
        other.type(b"\x03")
        assert other.wait().exit == 3
