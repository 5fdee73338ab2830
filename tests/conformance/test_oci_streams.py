"""What a process is given beside its arguments: a terminal by a socket, and descriptors of the caller."""

import json
import os
import re
import stat
import subprocess

import pytest

from lib.oci_console import ConsoleSocket
from lib.terminal import Terminal

LISTING = "for each in /proc/self/fd/*; do echo ${each##*/} $(readlink $each); done"


@pytest.fixture
def console(anyone):
    with ConsoleSocket(anyone.directory("console") / "socket", owner=(anyone.uid, anyone.gid)) as made:
        yield made


@pytest.fixture
def opened():
    """Makes inheritable descriptors with exactly these numbers in a child."""
    files = []

    def make(count, first=3):
        for number in range(count):
            read, write = os.pipe()
            os.write(write, f"given {first + number}\n".encode())
            os.close(write)
            files.append(os.fdopen(read, "rb"))

        def give():
            safe = [os.dup(file.fileno()) for file in files]
            high = [os.dup2(each, 100 + number) for number, each in enumerate(safe)]
            for number, each in enumerate(high):
                os.dup2(each, first + number, inheritable=True)
                os.close(each)
        return {"preexec_fn": give, "close_fds": False}

    yield make
    for file in files:
        file.close()


def with_terminal(anyone, script, **size):
    bundle = anyone.bundle().sh(script).set("process.terminal", True)
    if size:
        bundle.set("process.consoleSize", size)
    return bundle


# terminals

def test_a_terminal_comes_by_the_console_socket(anyone, console):
    container = anyone.create(with_terminal(anyone, "tty; test -t 0 && test -t 1 && test -t 2 && echo all"), "--console-socket", console.path)
    with console.receive() as pty:
        container.start()
        assert container.wait() == 0
        assert pty.end() == b"/dev/pts/0\r\nall\r\n"
    assert container.out == b"" == container.err


def test_the_terminal_is_the_controlling_one(anyone, console):
    container = anyone.create(with_terminal(anyone, "echo through > /dev/tty; read answer; echo got $answer"), "--console-socket", console.path)
    with console.receive() as pty:
        container.start()
        pty.expect(b"through\r\n")
        pty.type(b"hello\n")
        pty.expect(b"got hello\r\n")
        assert container.wait() == 0


def test_keys_send_signals(anyone, console):
    script = "trap 'echo interrupted; exit 4' INT; echo began; while :; do sleep 0.05; done"
    container = anyone.create(with_terminal(anyone, script), "--console-socket", console.path)
    with console.receive() as pty:
        container.start()
        pty.expect(b"began")
        pty.type(b"\x03")
        pty.expect(b"interrupted")
        assert container.wait() == 4


def test_the_console_has_its_size(anyone, console):
    container = anyone.create(with_terminal(anyone, "stty size", height=41, width=123), "--console-socket", console.path)
    with console.receive() as pty:
        container.start()
        pty.expect(b"41 123\r\n")
        assert container.wait() == 0


def test_a_change_of_the_size_arrives(anyone, console):
    script = "trap 'stty size; exit 0' WINCH; echo began; while :; do sleep 0.05; done"
    container = anyone.create(with_terminal(anyone, script, height=10, width=20), "--console-socket", console.path)
    with console.receive() as pty:
        container.start()
        pty.expect(b"began")
        pty.resize(33, 77)
        pty.expect(b"33 77")
        assert container.wait() == 0


def test_dev_console_is_the_terminal(anyone, console):
    """Set up by a bind mount of the pty, says config-linux.md."""
    script = "echo to the console > /dev/console; stat -c '%t:%T' /dev/console /dev/pts/0; grep -c ' /dev/console ' /proc/self/mountinfo"
    container = anyone.create(with_terminal(anyone, script), "--console-socket", console.path)
    with console.receive() as pty:
        container.start()
        assert container.wait() == 0
        lines = pty.end().decode().split()
    assert lines == ["to", "the", "console", "88:0", "88:0", "1"]


def test_without_a_terminal_there_is_no_console(anyone):
    assert anyone.run(anyone.bundle().sh("test -e /dev/console")).exit == 1


def test_the_terminal_belongs_to_the_user(runtime):
    with ConsoleSocket(runtime.directory("console") / "socket") as console:
        bundle = with_terminal(runtime, "stat -c %u:%a /dev/pts/0; echo hello > /dev/tty")
        bundle.process["user"] = {"uid": 1000, "gid": 1000}
        container = runtime.create(bundle, "--console-socket", console.path)
        with console.receive() as pty:
            container.start()
            assert container.wait() == 0
            assert re.fullmatch(rb"1000:6[02]0\r\nhello\r\n", pty.end())


def test_the_size_is_ignored_without_a_terminal(anyone):
    bundle = anyone.bundle().sh("test -t 1 || echo none").set("process.consoleSize", {"height": 5, "width": 6})
    assert anyone.output(bundle) == "none\n"


def test_run_and_its_console_socket(anyone, console):
    container = anyone.start_detached(with_terminal(anyone, "read line; echo $line $line"), "--console-socket", console.path)
    with console.receive() as pty:
        pty.type(b"twice\n")
        pty.expect(b"twice twice\r\n")
        assert container.wait() == 0


def test_the_end_of_the_master_is_the_end_of_input(anyone, console):
    script = "trap '' HUP; echo began; while read line; do :; done; exit 7"
    container = anyone.create(with_terminal(anyone, script), "--console-socket", console.path)
    with console.receive() as pty:
        container.start()
        pty.expect(b"began")
    assert container.wait() == 7


def test_run_in_the_foreground_relays_its_terminal(anyone):
    """The caller's own terminal and the container's are two: bytes, keys and the size go between them."""
    bundle = with_terminal(anyone, "tty; stty size; read line; echo got $line; exit 6").write()
    with Terminal(rows=37, columns=111) as terminal:
        terminal.launch(anyone.argv("run", "--bundle", bundle.directory, anyone.new_id()), anyone.environment({"TERM": "vt100"}))
        terminal.expect(b"/dev/pts/0")
        terminal.expect(b"37 111")
        terminal.type(b"typed\r")
        terminal.expect(b"got typed")
        assert terminal.wait().exit == 6
        assert terminal.settings() == terminal.before, "the caller's terminal isn't as it was"


@pytest.mark.parametrize("case", ["no-socket", "no-terminal", "gone", "detached"])
def test_terminals_that_do_not_fit(anyone, case, nothing_left):
    if case == "no-terminal":
        with ConsoleSocket(anyone.directory("console") / "socket", owner=(anyone.uid, anyone.gid)) as console:
            anyone.rejects(anyone.bundle(), "console|terminal", words=["--console-socket", console.path])
            assert console.waits()
    elif case == "detached":
        bundle = with_terminal(anyone, "true").write()
        anyone.refused(anyone.call("run", "--detach", "--bundle", bundle.directory, anyone.new_id()), "console|terminal|tty")
    else:
        words = ["--console-socket", "/no/such/socket"] if case == "gone" else []
        anyone.rejects(with_terminal(anyone, "true"), "console|terminal|tty|no such file", words=words)
    nothing_left([anyone])


@pytest.mark.parametrize("value", [{"height": 5}, {"height": -1, "width": 5}, {"height": "5", "width": 5}, 80, {"height": 70000, "width": 5}], ids=str)
def test_sizes_that_are_none(anyone, console, value):
    bundle = with_terminal(anyone, "true").set("process.consoleSize", value)
    anyone.rejects(bundle, field="process.consoleSize", words=["--console-socket", console.path])


# descriptors

def test_no_descriptor_of_the_caller_comes_in(anyone, opened):
    outcome = anyone.run(anyone.bundle().sh(LISTING), **opened(6))
    numbers = [int(line.split()[0]) for line in outcome.ok().lines() if len(line.split()) > 1 and "/proc/" not in line]
    assert numbers == [0, 1, 2], f"{outcome}"


def test_no_descriptor_of_the_runtime_comes_in(anyone):
    """Asked of the kernel, when the program runs."""
    container = anyone.started(anyone.bundle().sh("echo began; exec sleep 1000"))
    container.expect(b"began\n")
    assert sorted(os.listdir(f"/proc/{container.pid}/fd")) == ["0", "1", "2"]


def test_descriptors_are_preserved_when_asked(anyone, opened):
    bundle = anyone.bundle().sh("cat <&3; cat <&4; for n in 5 6 7; do test -e /proc/self/fd/$n && echo also $n; done; true")
    outcome = anyone.run(bundle, "--preserve-fds", "2", **opened(4))
    assert outcome.ok().out == b"given 3\ngiven 4\n", f"{outcome}"


def test_create_keeps_preserved_descriptors_for_the_program(anyone, opened):
    container = anyone.create(anyone.bundle().sh("cat <&3"), "--preserve-fds=1", **opened(1))
    container.start()
    assert container.wait() == 0 and container.out == b"given 3\n"


def test_descriptors_that_are_listened_on(anyone, opened):
    """As sd_listen_fds(3) has it: LISTEN_PID is the runtime's outside, and the program's own inside."""
    bundle = anyone.bundle().sh('cat <&3; echo "$LISTEN_FDS $LISTEN_PID $$"').write()
    argv = ["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh", *anyone.argv("run", "--bundle", bundle.directory, anyone.new_id())]
    done = subprocess.run(argv, capture_output=True, timeout=60, env=anyone.environment(), cwd="/", **opened(1))
    assert (done.returncode, done.stdout) == (0, b"given 3\n1 1 1\n"), f"{done}"


@pytest.mark.parametrize("whose", ["LISTEN_PID=1", ""], ids=["another's", "nobody's"])
def test_descriptors_that_others_listen_on(anyone, whose, opened):
    """What a service manager gave to who started an engine is not ours."""
    bundle = anyone.bundle().sh('test -e /proc/self/fd/3 || echo "none, $LISTEN_FDS"').write()
    argv = ["env", "LISTEN_FDS=1", *whose.split(), *anyone.argv("run", "--bundle", bundle.directory, anyone.new_id())]
    done = subprocess.run(argv, capture_output=True, timeout=60, env=anyone.environment(), cwd="/", **opened(1))
    assert (done.returncode, done.stdout) == (0, b"none, \n"), f"{done}"


@pytest.mark.parametrize("count", ["-1", "x", "99999999999", "5"])
def test_descriptors_that_are_not_there(anyone, count, nothing_left):
    """Five are asked for, and none is open."""
    bundle = anyone.bundle().write()
    outcome = anyone.call("run", "--preserve-fds", count, "--bundle", bundle.directory, anyone.new_id())
    anyone.refused(outcome)
    nothing_left([anyone])


# the keyring

def test_a_container_has_a_session_keyring_of_its_own(runtime):
    """Unless --no-new-keyring says otherwise."""
    def names(*options):
        bundle = runtime.bundle().set("linux.maskedPaths", []).args("cat", "/proc/keys").remove("linux.seccomp")
        return runtime.output(bundle, *options)
    assert "_ses" in names(), "a session keyring of the container's own"
    own = subprocess.run(["cat", "/proc/keys"], capture_output=True, text=True, timeout=20).stdout
    assert len(re.findall("keyring", names("--no-new-keyring"))) <= len(re.findall("keyring", own)) + 2


# logs

@pytest.mark.parametrize("form", ["json", "text"])
def test_errors_are_in_the_log_as_well(anyone, form):
    """Engines read the last line that is an error, and show its msg to people."""
    log = anyone.directory("log") / "log"
    bundle = anyone.bundle().args("no-such-program").write()
    outcome = anyone.call("create", "--bundle", bundle.directory, anyone.new_id(), options=["--log", log, "--log-format", form])
    anyone.refused(outcome)
    lines = log.read_text().splitlines()
    assert lines, "the log is empty"
    if form == "json":
        rows = [json.loads(line) for line in lines]
        last = [row for row in rows if row["level"] == "error"][-1]
        assert re.search("executable file.* not found|no such file", last["msg"], re.IGNORECASE), rows
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", last["time"]), rows
    else:
        assert re.search("executable file.* not found|no such file", lines[-1], re.IGNORECASE), lines


@pytest.mark.parametrize("text", ['quote " backslash \\ tab \t', "newline\nin it", "ünï \x01", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")])
def test_a_json_log_is_json_whatever_is_in_the_message(anyone, text):
    log = anyone.directory("log") / "log"
    bundle = anyone.bundle().args("/no/such/" + text).write()
    anyone.refused(anyone.call("create", "--bundle", bundle.directory, anyone.new_id(), options=["--log", log, "--log-format", "json"]))
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(row["level"] == "error" for row in rows)


def test_a_text_log_is_quoted(anyone):
    """No message ends before its end, or makes a line of its own."""
    log = anyone.directory("log") / "log"
    bundle = anyone.bundle().args('/no/such/" level=info msg="\ntime=').write()
    anyone.refused(anyone.call("create", "--bundle", bundle.directory, anyone.new_id(), options=["--log", log]))
    lines = log.read_text().splitlines()
    assert all(re.fullmatch(r'time="[^"]+" level=\w+ msg="([^"\\]|\\.)*"', line) for line in lines), lines
    assert "level=info" not in [line.split()[1] for line in lines]


def test_a_log_is_appended_to_and_its_own(anyone):
    log = anyone.directory("log") / "log"
    for _ in range(2):
        anyone.refused(anyone.call("state", "no-such-one", options=["--log", log, "--log-format", "json"]))
    assert len([line for line in log.read_text().splitlines() if json.loads(line)["level"] == "error"]) == 2
    assert stat.S_IMODE(log.stat().st_mode) & 0o022 == 0
    assert anyone.call("list", "-q", options=["--log", log, "--log-format", "json"]).ok().out == b""


def test_a_log_that_cannot_be_written(anyone):
    anyone.refused(anyone.call("list", options=["--log", "/no/such/log"]), "no such file")


def test_a_log_format_that_is_none(anyone):
    anyone.refused(anyone.call("list", options=["--log-format", "xml"]), "xml|format")
