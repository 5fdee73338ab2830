"""Wrong flags, numbers and paths: one line, exit 125, nothing left."""

import ctypes
import os
import re

import pytest


@pytest.fixture(autouse=True)
def each_leaves_nothing(leaks):
    """What is refused was never begun, or is undone: without a prune."""
    yield
    leaks.check()


BYTES = ["-m", "--memory", "--memory-swap", "--disk", "--shm-size", "--file-size", "--output-limit"]
DURATIONS = ["--timeout", "--cpu-time", "--stop-grace"]
COUNTS = ["--pids-limit", "--open-files"]

NO_NUMBER = ["", " ", "x", "-1", "+1", "1x", "1 m", " 1", "1 ", "0x10", "1e6", "1,000", "NaN", "inf", "٣", "1\n", "--5", "1.2.3",
             "99999999999999999999999999", "18446744073709551616"]
NO_BYTES = [*NO_NUMBER, "1mm", "1ZiB", "1iB", "m", "GiB", "16777216T", "9999999999GiB", "1kib b"]
NO_DURATION = [*NO_NUMBER, "1y", "s", "1sm", "1ms1", "99999999999999h", "1d1"]
NO_COUNT = [*NO_NUMBER, "1.5", "1k5", "2147483648000", "9223372036854775808"]
NO_CPUS = [*NO_NUMBER, "0", "0.0", "0.0000001", "1/2", "1..5", ".", "1000001"]


def table():
    for flags, values in ((BYTES, NO_BYTES), (DURATIONS, NO_DURATION), (COUNTS, NO_COUNT), (["--cpus"], NO_CPUS)):
        for flag in flags:
            for value in values:
                yield flag, value
    for flag in ("-m", "--memory", "--pids-limit", "--timeout", "--open-files", "--cpu-time"):
        yield flag, "0"
    yield "-m", "4095"  # nothing can start in a page
    for flag, values in {
        "--wall": ["", "castle", "Container", "container,vm"], "--profile": ["", "loose", "STRICT"], "--network": ["", "bridge", "container:x"],
        "--format": ["", "xml", "yaml"], "--without": ["", "nothing", "limits,landlock", "LIMITS"],
        "--ulimit": ["", "nofile", "nofile=", "=5", "nofile=x", "nofile=-2", "nofile=60:50", "nosuch=5", "nofile=1:2:3", "nofile=5x", "nofile=18446744073709551616"],
        "-v": ["", ":", "/tmp", "/tmp:", ":/x", "/tmp:x", "/tmp:/x:rx", "/tmp:/x:ro:rw", "/tmp:/", "/tmp:/x:", "/tmp:/../..", "/tmp:/proc", "/tmp:/proc/self",
               "/tmp:/x:ro,", "x" * 5000 + ":/x", "/tmp:/" + "x" * 5000, "/tmp:/" + "y/" * 3000],
        "--mount": ["", "type=bind", "type=bind,src=/tmp", "type=bind,dst=/x", "type=tmpfs", "type=tmpfs,dst=x", "type=nfs,src=/a,dst=/x", "type=bind,src=/tmp,dst=/x,nosuch",
                    "type=bind,src=/tmp,dst=/x,nosuch=1", "src=/tmp,dst=/x,type=", "type=bind,,src=/tmp,dst=/x", "type=bind,src=/tmp,src=/var,dst=/x", "bind",
                    "type=volume,src=a,dst=/x", "type=tmpfs,dst=/x,tmpfs-size=y", "type=bind,src=/tmp,dst=/x,tmpfs-size=1m", "type=bind,src=/no/such,dst=/x"],
        "--tmpfs": ["", "x", ":size=1m", "/x:size=", "/x:size=y", "/x:nosuch", "/x:size=1m,size=2m", "/", "/proc", "/x:size=-1", "/x:exec=maybe", "../x"],
        "--stop-signal": ["", "0", "65", "SIGNOSUCH", "RTMIN+31"], "--result": ["", "/", "/tmp", "/no/such/dir/f"], "--env-file": [""], "--policy": [""], "--seccomp": ["", "unconfined"],
    }.items():
        for value in values:
            yield flag, value


@pytest.mark.parametrize("flag,value", list(table()))
def test_a_wrong_value_is_one_line(cloister, rootfs, flag, value):
    joined = [f"{flag}={value}"] if flag.startswith("--") else [flag, value]
    cloister.run(rootfs, "true", opts=joined, result=False, timeout=20).refused()


@pytest.mark.parametrize("flag", ["-m", "--memory", "--cpus", "--timeout", "--disk", "--policy", "-v", "--mount", "--name", "-e", "-w", "-u", "--without", "--result"])
def test_a_flag_without_its_value(cloister, flag):
    cloister.call("run", flag).refused(flag.lstrip("-")[:4])


@pytest.mark.parametrize("flag", ["--no-such-flag", "-Z", "--rm=yes", "--init=1", "-i=1", "--tty=maybe", "--", "-", "--mem", "--Memory", "---rm", "-zrm", "--no-such=x"])
def test_unknown_flags(cloister, rootfs, flag):
    if flag == "--":
        cloister.call("run", "--", rootfs).refused()
    else:
        cloister.run(rootfs, "true", opts=[flag], result=False).refused()


@pytest.mark.parametrize("flags", [["--name", "a", "--name", "b/"], ["--memory", "1g", "--memory", "x"], ["--wall", "container", "--wall", "castle"]])
def test_the_wrong_one_of_two(cloister, rootfs, flags):
    cloister.run(rootfs, "true", opts=flags, result=False).refused()


FILES = ["--policy", "--seccomp", "--env-file"]


@pytest.mark.parametrize("flag", FILES)
@pytest.mark.parametrize("value,why", [("/no/such", "open the file /no/such: No such file or directory"), ("/tmp", "/tmp: not a regular file"),
                                       ("/dev/null", "/dev/null: not a regular file"), ("/tmp/", "/tmp/: not a regular file"), ("", "must not be empty")])
def test_files_that_cannot_be_read(cloister, rootfs, flag, value, why):
    """Which option, which file, why; each once."""
    outcome = cloister.run(rootfs, "true", opts=[flag, value], result=False).refused()
    assert outcome.err == f"cloister: {flag}: {why}\n".encode()


@pytest.mark.parametrize("flag", FILES)
def test_files_that_may_not_be_read(as_user, rootfs, world, flag):
    path = world.directory("closed") / "file"
    path.write_text("{}\n")
    path.chmod(0)
    outcome = as_user.run(rootfs, "true", opts=[flag, path], result=False).refused()
    assert outcome.err == f"cloister: {flag}: open {path}: Permission denied\n".encode()


@pytest.mark.parametrize("image", ["", "rootfs:", "rootfs:/no/such", "rootfs:relative/no/such", "rootfs:/etc/passwd", "rootfs:/dev/null", "rootfs:\n", "rootfs",
                                   "host:", "host:x", "Host", ":", "rootfs:/proc/self/fd/0", "rootfs:" + "x" * 5000, "rootfs:/" + "x/" * 4000, "\x1b[2J"])
def test_wrong_images(cloister, image):
    outcome = cloister.run(image, "true", result=False).refused()
    assert b"\x1b" not in outcome.err


@pytest.mark.parametrize("image", ["rootfs:/no/such", "rootfs:/root", "nonsense:x"])
def test_wrong_images_of_the_ordinary_user(as_user, image):
    as_user.run(image, "true", result=False).refused()


def test_an_empty_rootfs_has_no_command(cloister, world):
    empty = world.directory("empty")
    outcome = cloister.run(f"rootfs:{empty}", "/bin/true")
    assert outcome.exit == 127, str(outcome)
    assert os.listdir(empty) == []


def test_a_relative_rootfs(cloister, rootfs):
    assert cloister.run(f"rootfs:{rootfs.path.name}", "echo", "fine", cwd=rootfs.path.parent).ok().out == b"fine\n"
    assert cloister.run("rootfs:.", "echo", "fine", cwd=rootfs.path).ok().out == b"fine\n"


def test_a_rootfs_through_a_link(cloister, rootfs, world):
    link = world.directory("links") / "link"
    link.symlink_to(rootfs.path)
    assert cloister.run(f"rootfs:{link}", "echo", "fine").ok().out == b"fine\n"


@pytest.mark.parametrize("name", ["with space", "comma,colon:", "per%cent", "new\nline", "ünï", "back\\slash", "-dash", "lowerdir=x", "quote\"'"])
def test_odd_names_of_a_rootfs(cloister, world, probe, name):
    path = world.directory("odd") / name
    (path / "bin").mkdir(parents=True)
    (path / "bin/probe").write_bytes(probe.read_bytes())
    (path / "bin/probe").chmod(0o755)
    for opts in ([], ["--writable"]):
        assert cloister.run(f"rootfs:{path}", "/bin/probe", "args", "x", opts=opts).ok().out == b"x\0"


def test_two_volumes_on_one_destination(cloister, rootfs):
    cloister.run(rootfs, "true", opts=["-v", "/usr:/x", "-v", "/var:/x"], result=False).refused("/x")


def test_256_volumes_and_no_more(cloister, rootfs):
    opts = [word for i in range(256) for word in ("-v", f"/usr:/v{i}")]
    assert cloister.run(rootfs, "ls", "-d", "/v0/bin", "/v255/bin", opts=opts, result=False).ok().lines() == ["/v0/bin", "/v255/bin"]
    cloister.run(rootfs, "true", opts=[*opts, "-v", "/usr:/more"], result=False).refused("--volume: more than 256 entries")


def test_a_large_environment(cloister, rootfs):
    """The kernel's bounds are the bounds: 128 KiB for each variable (execve(2))."""
    opts = [word for i in range(15) for word in ("-e", f"V{i}=" + "x" * 100_000)]
    assert cloister.run(rootfs, "sh", "-c", "echo ${#V14}", opts=opts, result=False).ok().out == b"100000\n"
    path = cloister.directory("env") / "file"
    path.write_text("V=" + "x" * 140_000 + "\n")
    outcome = cloister.run(rootfs, "true", opts=["--env-file", path], result=False)
    assert (outcome.exit, outcome.err) == (126, b"cloister: execute true: Argument list too long\n"), str(outcome)
    path.write_text("".join(f"V{i}=" + "x" * 100_000 + "\n" for i in range(11)))
    cloister.run(rootfs, "true", opts=["--env-file", path], result=False).refused("--env-file: .*larger than 1048576 bytes")


def test_a_command_name_that_is_empty(cloister, rootfs):
    cloister.run(rootfs, "", result=False).refused("command: its name is empty")


def test_the_message_holds_one_line_whatever_was_typed(cloister, rootfs):
    for value in ("a\nb", "\x1b]0;x\x07", "\r\r", "\x7f", "x" * 100_000):
        outcome = cloister.run(rootfs, "true", opts=[f"--memory={value}"], result=False).refused()
        assert not set(outcome.err[:-1]) & {7, 10, 13, 27, 127}, outcome.err[:200]
        assert len(outcome.err) < 5000


def test_no_arguments_at_all(cloister, world):
    """argv[0] may be missing altogether."""
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        libc = ctypes.CDLL(None)
        empty = (ctypes.c_char_p * 1)(None)
        libc.execve(os.fsencode(cloister.binary), empty, empty)
        os._exit(99)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0  # as without a command


@pytest.mark.parametrize("name", ["/.", "/usr/..", "link"])
def test_the_hosts_root_is_no_image_by_another_name(cloister, name, nothing_left):
    if name == "link":
        name = cloister.directory("links") / "root"
        name.symlink_to("/")
    cloister.run(f"rootfs:{name}", "true").refused(f"the image {re.escape(str(name))} is the host's own root directory; use host")


@pytest.mark.parametrize("opts,image,needle", [(["--result", "-"], "host", "/dev/stderr"), ([], "rootfs:/", "use host"), ([], "rootfs://", "use host")])
def test_what_reads_as_something_else_is_refused(cloister, opts, image, needle):
    cloister.call("run", *opts, image, "true").refused(needle)
