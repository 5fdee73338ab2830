"""cloister run: exit status, streams, arguments."""

import hashlib
import os
import signal
import subprocess

import pytest

from lib.runner import Running, poll, signal_exit, text

ODD_NAMES = ["-x", "--network", "--", "-", "", " ", "a b", "two\nlines", "tab\t", "ünï→", "$HOME", "*", "'\"", "\\", "=", "a=b", "%s%n"]


def pattern(size):
    """What `probe flood` writes."""
    block = bytes(i % 251 for i in range(251))
    return (block * (size // 251 + 1))[:size]


@pytest.mark.parametrize("code", [0, 1, 3, 77, 124, 125, 126, 127, 255])
def test_exit_status_is_the_commands(cloister, rootfs, code):
    outcome = cloister.run(rootfs, "sh", "-c", f"exit {code}")
    assert outcome.exit == code, str(outcome)
    outcome.ended("exited")
    assert outcome.result["exit_code"] == code and outcome.result["signal"] is None
    assert outcome.err == b""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGKILL,
                                    signal.SIGUSR1, signal.SIGSEGV, signal.SIGPIPE, signal.SIGTERM, 34, 64])
def test_exit_status_tells_the_signal(cloister, rootfs, number):
    outcome = cloister.run(rootfs, "probe", "signal", str(int(number)))
    assert outcome.exit == signal_exit(number), str(outcome)
    outcome.ended("signaled")
    assert outcome.result["exit_code"] is None
    assert outcome.result["signal"] in (int(number), getattr(number, "name", None), f"{int(number)}")


@pytest.mark.parametrize("name", ["no-such-command", "/bin/no-such-command", "/no/such/place"])
def test_a_missing_command_is_127(cloister, rootfs, name):
    outcome = cloister.run(rootfs, name)
    assert outcome.exit == 127, str(outcome)
    assert text(outcome.err).startswith("cloister: ") and outcome.err.count(b"\n") == 1
    assert name in text(outcome.err)


@pytest.mark.parametrize("name", ["/bin/not-executable", "/bin/bad-format", "/etc"])
def test_a_command_that_cannot_be_executed_is_126(cloister, rootfs, name):
    outcome = cloister.run(rootfs, name)
    assert outcome.exit == 126, str(outcome)
    assert text(outcome.err).startswith("cloister: ") and outcome.err.count(b"\n") == 1
    assert name in text(outcome.err)


@pytest.mark.parametrize("name", ["/bin/bad-interpreter", "bad-interpreter"])
def test_a_missing_interpreter_is_127(cloister, rootfs, name):
    outcome = cloister.run(rootfs, name)
    assert outcome.exit == 127, str(outcome)
    assert text(outcome.err) == f"cloister: execute {name}: the file is there, but not the interpreter (#!) or loader that it names\n"


def test_what_cannot_be_executed_is_explained(cloister, rootfs):
    assert "No such file" in text(cloister.run(rootfs, "/bin/no-such-command").err)
    assert "--volume" not in text(cloister.run(rootfs, "/bin/no-such-command").err)
    assert "only what --volume names" in text(cloister.run("host", "./script.sh").err)
    assert "a script begins with #!" in text(cloister.run(rootfs, "/bin/bad-format").err)
    assert "command not found" in text(cloister.run(rootfs, "no-such-command").err)
    assert text(cloister.run(rootfs, "--memory", "1g", "true").err).endswith("; options of cloister stand before the image\n")
    cloister.run(rootfs, "").refused("command: its name is empty")


def test_no_command_is_refused_when_the_image_names_none(cloister, rootfs):
    cloister.run(rootfs).refused("command")


def test_the_two_outputs_stay_apart(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "echo to-out; echo to-err >&2; echo out-again").ok()
    assert outcome.out == b"to-out\nout-again\n"
    assert outcome.err == b"to-err\n"
    assert outcome.result["usage"]["stdout_bytes"] == len(outcome.out)
    assert outcome.result["usage"]["stderr_bytes"] == len(outcome.err)


@pytest.mark.parametrize("descriptor", [1, 2])
def test_ten_megabytes_come_out_exactly(cloister, rootfs, descriptor):
    size = 10_000_001
    outcome = cloister.run(rootfs, "probe", "flood", str(size), str(descriptor)).ok()
    came, other = (outcome.out, outcome.err) if descriptor == 1 else (outcome.err, outcome.out)
    assert came == pattern(size)
    assert other == b""


def test_ten_megabytes_go_through_cat(cloister, rootfs):
    data = os.urandom(10_000_003)
    outcome = cloister.run(rootfs, "cat", input=data).ok()
    assert hashlib.sha256(outcome.out).digest() == hashlib.sha256(data).digest()


def test_every_byte_value_goes_in(cloister, rootfs):
    data = bytes(range(256)) * 17
    outcome = cloister.run(rootfs, "sha256sum", input=data).ok()
    assert outcome.word().split()[0] == hashlib.sha256(data).hexdigest()


def test_the_end_of_standard_input_is_passed_on(cloister, rootfs):
    with cloister.start(rootfs, "cat") as running:
        running.send(b"one\n")
        running.expect(b"one\n")
        running.send(b"two\n")
        running.expect(b"two\n")
        running.close_stdin()
        assert running.wait(20).ok().out == b"one\ntwo\n"


def test_standard_input_from_a_file(cloister, rootfs):
    path = cloister.directory() / "input"
    path.write_bytes(b"from a file\n")
    with open(path, "rb") as file:
        assert cloister.run(rootfs, "cat", stdin=file).ok().out == b"from a file\n"


def test_standard_output_into_a_file(cloister, rootfs):
    path = cloister.directory() / "output"
    with open(path, "wb") as file:
        cloister.run(rootfs, "probe", "flood", "300000", stdout=file).ok()
    assert path.read_bytes() == pattern(300000)


def test_output_appends_to_a_file_opened_so(cloister, rootfs):
    path = cloister.directory() / "log"
    path.write_bytes(b"before\n")
    with open(path, "ab") as file:
        cloister.run(rootfs, "echo", "after", stdout=file).ok()
    assert path.read_bytes() == b"before\nafter\n"


def test_a_program_that_does_not_read_does_not_hang_the_caller(cloister, rootfs):
    outcome = cloister.run(rootfs, "true", input=b"x" * 3_000_000, timeout=20)
    assert outcome.exit == 0, str(outcome)


def test_a_program_that_closes_its_outputs_runs_on(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "echo said; exec >&- 2>&-; sleep 0.3; exit 5")
    assert outcome.exit == 5 and outcome.out == b"said\n", str(outcome)


def test_a_reader_that_goes_away_does_not_hang_it(cloister, rootfs, nothing_left):
    line = " ".join(map(str, cloister.argv("run", *sum((["--without", l] for l in cloister.without), []), rootfs, "yes")))
    done = subprocess.run(["sh", "-c", f"{line} | head -1"], capture_output=True, timeout=30, env=cloister.environment())
    assert done.stdout == b"y\n"
    nothing_left()


def test_closed_pipes_end_a_program_that_writes(cloister, rootfs):
    with cloister.start(rootfs, "yes") as running:
        running.expect(b"y\ny\n")
        # the reading thread holds the pipe: take it away below it
        reading = running.process.stdout.fileno()
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, reading)
        os.close(null)
        poll(lambda: running.process.poll() is not None, 15, "still running with nobody who reads")
        assert running.process.returncode == 128 + signal.SIGPIPE, running.err


def test_processes_left_behind_end_with_the_main_one(cloister, rootfs, nothing_left):
    outcome = cloister.run(rootfs, "probe", "leave", timeout=20).ok()
    assert outcome.out == b"left\n"
    nothing_left()


def test_arguments_arrive_as_they_were(cloister, rootfs):
    outcome = cloister.run(rootfs, "probe", "args", *ODD_NAMES).ok()
    assert outcome.out == b"".join(a.encode() + b"\0" for a in ODD_NAMES)


@pytest.mark.parametrize("argument", ODD_NAMES)
def test_one_odd_argument(as_root, rootfs, argument):
    assert as_root.run(rootfs, "probe", "args", argument).ok().out == argument.encode() + b"\0"


def test_arguments_need_not_be_utf8(cloister, rootfs):
    raw = b"\xff\xfe\x80"
    assert cloister.run(rootfs, "probe", "args", os.fsdecode(raw)).ok().out == raw + b"\0"


def test_a_hundred_kilobyte_argument(cloister, rootfs):
    argument = "x" * 100_000
    assert cloister.run(rootfs, "probe", "args", argument).ok().out == argument.encode() + b"\0"


def test_a_thousand_arguments(cloister, rootfs):
    arguments = [f"argument-{i}" for i in range(1000)]
    assert cloister.run(rootfs, "probe", "args", *arguments).ok().out == b"".join(a.encode() + b"\0" for a in arguments)


def test_options_end_at_the_image(cloister, rootfs):
    assert cloister.run(rootfs, "probe", "args", "--rm", "-e", "X=1").ok().out == b"--rm\0-e\0X=1\0"


def test_two_dashes_may_separate_the_command(cloister, rootfs):
    assert cloister.run(rootfs, "--", "probe", "args", "--", "a").ok().out == b"--\0a\0"


def test_the_command_is_found_through_the_path_of_the_sandbox(cloister, rootfs):
    assert cloister.run(rootfs, "probe", "args", "x").ok().out == b"x\0"
    assert cloister.run(rootfs, "probe", "args", "x", opts=["-e", "PATH=/nowhere"]).exit == 127


def test_entrypoint(cloister, rootfs):
    assert cloister.run(rootfs, "a", "b", opts=["--entrypoint", "/bin/echo"]).ok().out == b"a b\n"
    assert cloister.run(rootfs, opts=["--entrypoint", "/bin/echo"]).ok().out == b"\n"
    assert cloister.run(rootfs, "-n", "x", opts=["--entrypoint=/bin/echo"]).ok().out == b"x"


@pytest.mark.parametrize("opts", [["--rm"], ["--init"], ["--rm", "--init"], ["--network", "none"], ["--network=none"],
                                  ["--wall", "container"], ["--wall", "auto"], ["--profile", "strict"], ["-i"],
                                  ["--tenant", "a"], ["--label", "k=v", "--label", "k2=v=2"], ["--name", "a-name_1.x"]])
def test_words_that_change_nothing_here(cloister, rootfs, opts):
    assert cloister.run(rootfs, "echo", "ran", opts=opts).ok().out == b"ran\n"


def test_only_the_programs_output_is_on_stdout(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "exit 4", opts=["--format", "json"])
    assert outcome.exit == 4 and outcome.out == b"", str(outcome)


def test_what_was_named_is_in_the_record(cloister, rootfs):
    outcome = cloister.run(rootfs, "true", opts=["--name", "the-name", "--tenant", "the-tenant"]).ok()
    assert outcome.result["name"] == "the-name"
    assert outcome.result["tenant"] == "the-tenant"
    assert str(rootfs.path) in outcome.result["image"]


def test_each_run_has_an_id_of_its_own(cloister, rootfs):
    ids = {cloister.run(rootfs, "true").ok().result["id"] for _ in range(5)}
    assert len(ids) == 5


def test_no_descriptor_of_the_caller_enters(cloister, rootfs):
    reading, writing = os.pipe()
    with open("/etc/passwd", "rb") as file:
        passed = (reading, writing, file.fileno())
        outcome = cloister.run(rootfs, "probe", "fds", pass_fds=passed, input=b"").ok()
    os.close(reading)
    os.close(writing)
    rows = dict(line.split(" ", 1) for line in outcome.lines())
    assert set(rows) == {"0", "1", "2"}, rows
    assert all(target.startswith(("pipe:", "/dev/null")) for target in rows.values()), rows


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors(cloister, rootfs, closed, nothing_left):
    path = cloister.result_path()
    words = cloister.run_words(rootfs, ["sh", "-c", "echo to-out; echo to-err >&2; probe fds >/dev/null; exit 6"], [], path)
    argv = ["sh", "-c", f'exec "$@" {closed}', "sh", *cloister.argv(*words)]
    with Running(argv, path, env=cloister.environment(), cwd="/") as running:
        outcome = running.wait(20)
    # the record is a file of cloister's own: the program's words can't be in it
    assert outcome.exit == 6, str(outcome)
    outcome.ended("exited")
    closings = closed.split()
    assert outcome.out == (b"" if ">&-" in closings else b"to-out\n")
    assert outcome.err == (b"" if "2>&-" in closings else b"to-err\n")
    nothing_left()


def test_closed_descriptors_inside_are_open(cloister, rootfs):
    words = cloister.run_words(rootfs, ["probe", "fds"], [], None)
    argv = ["sh", "-c", 'exec "$@" <&-', "sh", *cloister.argv(*words)]
    with Running(argv, env=cloister.environment(), cwd="/") as running:
        outcome = running.wait(20).ok()
    assert [line.split()[0] for line in outcome.lines()] == ["0", "1", "2"]


def test_it_starts_in_a_directory_that_is_gone(cloister, rootfs):
    gone = cloister.directory("gone")
    argv = ["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', gone, *cloister.argv(*cloister.run_words(rootfs, ["echo", "fine"], [], None))]
    with Running(argv, env=cloister.environment()) as running:
        assert running.wait(20).ok().out == b"fine\n"


def test_the_sandbox_does_not_begin_in_the_callers_directory(cloister, rootfs, world):
    assert cloister.run(rootfs, "pwd", cwd=world.base).ok().out == b"/\n"
    assert cloister.run(rootfs, "ls", "-l", "/proc/self/cwd", cwd=world.base).ok().word().endswith("-> /")


def test_signals_ignored_and_blocked_by_the_caller_are_not_so_inside(cloister, rootfs):
    words = cloister.run_words(rootfs, ["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"], [], None)
    argv = ["sh", "-c", "trap '' INT HUP PIPE USR1; exec \"$@\"", "sh", *cloister.argv(*words)]
    with Running(argv, env=cloister.environment(), cwd="/") as running:
        outcome = running.wait(20).ok()
    masks = dict(line.split(":\t") for line in outcome.lines())
    assert int(masks["SigIgn"], 16) == 0 and int(masks["SigBlk"], 16) == 0, masks


def test_a_pipe_into_head_is_quiet(cloister, rootfs):
    """As in a shell: that the reader has had enough is no failure to tell of."""
    with cloister.start(rootfs, "yes") as running:
        running.expect(b"y")
        running.process.stdout.close()
        outcome = running.wait(20)
    assert outcome.exit == 128 + 13 and outcome.err == b"", str(outcome)
