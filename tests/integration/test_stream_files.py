"""run --stdin, --stdout and --stderr: files in place of the caller's streams, in the foreground and detached."""

import os
import threading

import pytest

MIB = 1 << 20


@pytest.fixture
def place(cloister):
    return cloister.directory("place")


@pytest.fixture(params=["foreground", "detached"])
def run(request, cloister, rootfs):
    """Runs to the end: (exit status, what came out elsewhere)."""
    def foreground(*command, opts=()):
        outcome = cloister.run(rootfs, *command, opts=opts)
        return outcome.exit, outcome.out, outcome.err

    def detached(*command, opts=()):
        outcome = cloister.detach(rootfs, *command, opts=opts)
        if outcome.exit != 0:
            return outcome.exit, outcome.out, outcome.err
        status = int(cloister.call("wait", outcome.word()).ok().word())
        logs = cloister.call("logs", outcome.word()).ok()
        cloister.call("rm", outcome.word()).ok()
        return status, logs.out, logs.err

    return {"foreground": foreground, "detached": detached}[request.param]


def test_all_three(run, place):
    data = os.urandom(3 * MIB)
    (place / "in").write_bytes(data)
    done = run("sh", "-c", "cat; echo mistake >&2; exit 4", opts=["--stdin", place / "in", "--stdout", place / "out", "--stderr", place / "err"])
    assert done == (4, b"", b"")
    assert (place / "out").read_bytes() == data and (place / "err").read_bytes() == b"mistake\n"


@pytest.mark.parametrize("which", ["stdout", "stderr"])
def test_the_other_goes_where_it_went(run, place, which):
    status, out, err = run("sh", "-c", "echo 1; echo 2 >&2", opts=[f"--{which}", place / "file"])
    assert (status, out, err) == (0, b"" if which == "stdout" else b"1\n", b"" if which == "stderr" else b"2\n")
    assert (place / "file").read_bytes() == (b"1\n" if which == "stdout" else b"2\n")


def test_one_file_for_both_keeps_the_order(run, cloister, place):
    both = place / "both"
    both.write_bytes(b"what was there before\n" * 100)
    os.chown(both, cloister.uid, cloister.gid)
    assert run("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.02; echo -$i >&2; sleep 0.02; done", opts=["--stdout", both, "--stderr", both])[0] == 0
    assert both.read_bytes() == b"1\n-1\n2\n-2\n3\n-3\n"


def test_the_line_about_the_end_is_cloisters(cloister, rootfs, place):
    outcome = cloister.run(rootfs, "sleep", "1000", opts=["--stderr", place / "err", "--timeout", "0.2s", "--stop-grace", "0"])
    assert outcome.exit == 124 and b"time limit" in outcome.err and (place / "err").read_bytes() == b""


def test_input_from_a_fifo_waits_for_its_writer(run, cloister, place):
    fifo = place / "fifo"
    os.mkfifo(fifo)
    os.chown(fifo, cloister.uid, cloister.gid)

    def write():
        with open(fifo, "wb") as to:
            to.write(b"by and by\n")

    writer = threading.Thread(target=write)
    writer.start()
    status, out, err = run("cat", opts=["--stdin", fifo])
    writer.join()
    assert (status, out, err) == (0, b"by and by\n", b"")


def test_the_output_limit_holds(run, place):
    status, _, _ = run("sh", "-c", "while :; do echo xxxxxxxxxxxxxxx; done", opts=["--stdout", place / "out", "--output-limit", "64k"])
    assert status == 137 and (place / "out").stat().st_size == 65536


@pytest.mark.parametrize("opts,said", [
    (["--stdin", "/no/such"], "open the file /no/such: No such file"), (["--stdout", "/no/such/file"], "open the file /no/such/file"),
    (["--stdout", "-"], "--stdout takes a file"), (["--stdin", ""], "--stdin: must not be empty"), (["-t", "--stdin", "/dev/null"], "--tty excludes"),
    (["--stdin", "/dev/null", "--stdin", "/dev/zero"], "--stdin: it is given twice")], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_can_not_be(cloister, rootfs, opts, said):
    cloister.run(rootfs, "true", opts=opts).refused(said)


def test_links_are_not_followed(run, place):
    """A sandbox that may write there could have made one."""
    (place / "victim").write_text("precious\n")
    (place / "link").symlink_to(place / "victim")
    for option in ("--stdout", "--stderr"):
        status, out, err = run("echo", "gotcha", opts=[option, place / "link"])
        assert status == 125 and b"symbolic link" in err
    assert (place / "victim").read_text() == "precious\n"
