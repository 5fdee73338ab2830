"""-t and -i, and what a caller's terminal is to a sandbox without them."""

import re
import signal

import pytest

from lib.terminal import Terminal


@pytest.fixture
def terminal():
    with Terminal() as made:
        yield made


def test_all_three_are_terminals_with_t(cloister, rootfs, terminal):
    outcome = terminal.start(cloister, rootfs, "probe", "tty", opts=["-t", "-i"]).wait()
    assert outcome.exit == 0 and b"1 1 1 tty 0\r\n" in outcome.out, str(outcome)


def test_without_t_the_callers_terminal_stays_outside(cloister, rootfs, terminal):
    outcome = terminal.start(cloister, rootfs, "probe", "tty").wait()
    assert outcome.exit == 0, str(outcome)
    seen = re.search(rb"(\d) (\d) (\d) tty (\d+)", outcome.out)
    assert seen and seen.groups()[:3] == (b"0", b"0", b"0") and seen[4] != b"0", str(outcome)


def test_window_size_and_its_change(cloister, rootfs, terminal):
    terminal.start(cloister, rootfs, "sh", "-c", "stty size; exec probe trap", opts=["-it"])
    terminal.expect(b"40 100")
    terminal.expect(b"ready")
    terminal.resize(33, 77)
    terminal.expect(b"size 33 77")
    terminal.type(b"\x03")
    terminal.expect(b"got 2\r")  # not "got 28": a ^C that is under way flushes what comes before it
    terminal.process.terminate()
    terminal.expect(b"got 15")


def test_a_change_is_seen_where_only_the_input_is_a_terminal(cloister, rootfs, terminal):
    """As in `cloister run -it ... | tee log`."""
    words = cloister.run_words(rootfs, ("probe", "trap", "3"), ["-it"], None)
    argv = ["sh", "-c", 'exec "$0" "$@" | cat', *cloister.argv(*words)]
    terminal.launch(argv, cloister.environment({"TERM": "vt100"}))
    terminal.expect(b"ready")
    terminal.resize(31, 71)
    terminal.expect(b"size 31 71")
    terminal.type(b"\x03")
    terminal.wait()


def test_control_c_goes_to_the_program(cloister, rootfs, terminal):
    terminal.start(cloister, rootfs, "probe", "trap", "7", opts=["-it"])
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    outcome = terminal.wait()
    assert outcome.exit == 7 and b"got 2" in outcome.out, str(outcome)


def test_control_c_ends_a_plain_program(cloister, rootfs, terminal):
    terminal.start(cloister, rootfs, "probe", "wait", opts=["-it"])
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    outcome = terminal.wait()
    assert outcome.exit == 128 + signal.SIGINT, str(outcome)
    outcome.ended("signaled")


def test_control_c_without_t_ends_the_run(cloister, rootfs, terminal, nothing_left):
    terminal.start(cloister, rootfs, "probe", "wait")
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    assert terminal.wait().exit == 128 + signal.SIGINT
    nothing_left()


@pytest.mark.parametrize("end", ["exit 0", "exit 9", "kill -9 $$"])
def test_the_terminal_is_as_before(cloister, rootfs, terminal, end):
    terminal.start(cloister, rootfs, "sh", "-c", f"stty raw -echo; {end}", opts=["-it"])
    terminal.wait()
    assert terminal.settings() == terminal.before


def test_the_terminal_is_as_before_after_a_timeout(cloister, rootfs, terminal):
    terminal.start(cloister, rootfs, "probe", "wait", opts=["-it", "--timeout", "500ms", "--stop-grace", "100ms"])
    outcome = terminal.wait()
    assert outcome.exit == 124, str(outcome)
    assert terminal.settings() == terminal.before


def test_what_is_typed_arrives(cloister, rootfs, terminal):
    terminal.start(cloister, rootfs, "sh", "-c", 'echo go; read line; echo "<$line>"', opts=["-it"])
    terminal.expect(b"go")
    terminal.type(b"typed words\r")
    terminal.expect(b"<typed words>")
    assert terminal.wait().exit == 0


def test_interactive_without_t_passes_what_is_typed(cloister, rootfs, terminal):
    terminal.start(cloister, rootfs, "sh", "-c", 'echo go; read line; echo "<$line>"', opts=["-i"])
    terminal.expect(b"go")
    terminal.type(b"typed words\n")
    terminal.expect(b"<typed words>")
    assert terminal.wait().exit == 0


def test_a_terminal_is_not_standard_input_without_i(cloister, rootfs, terminal):
    terminal.type(b"not for the sandbox\n")
    outcome = terminal.start(cloister, rootfs, "sh", "-c", "cat; echo read-to-the-end").wait()
    assert outcome.exit == 0, str(outcome)
    assert outcome.out.count(b"not for the sandbox") <= 1  # the echo of the terminal itself
    assert b"read-to-the-end" in outcome.out


def test_a_terminal_tells_its_kind(cloister, rootfs, terminal):
    outcome = terminal.start(cloister, rootfs, "sh", "-c", 'echo "<$TERM>"', opts=["-it"]).wait()
    assert re.search(rb"<[a-z0-9-]+>", outcome.out), str(outcome)


def test_output_on_a_terminal_is_complete(cloister, rootfs, terminal):
    outcome = terminal.start(cloister, rootfs, "seq", "1", "20000", opts=["-it"]).wait()
    lines = outcome.out.replace(b"\r\n", b"\n").split(b"\n")
    assert lines[:20000] == [str(i).encode() for i in range(1, 20001)]


@pytest.mark.parametrize("words,text,expected", [(["cat"], b"", b""), (["cat"], b"hi\n", b"hi"), (["sh", "-c", "read line; echo got $line"], b"x\n", b"got x")])
@pytest.mark.parametrize("flags", ["-t", "-it"])
def test_a_terminal_ends_with_the_callers_input(cloister, rootfs, words, text, expected, flags):
    """A cron job or a pipe has no terminal to type an end into."""
    with cloister.start(rootfs, *words, opts=[flags, "--timeout", "15s", "--stop-grace", "0"]) as running:
        running.send(text)
        running.close_stdin()
        outcome = running.wait(20).ok()
    assert expected in outcome.out, str(outcome)


def test_who_closes_the_terminal_goes_on(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "exec <&- >&- 2>&-; sleep 0.1; exit 5", opts=["-t"])
    assert outcome.exit == 5, str(outcome)
