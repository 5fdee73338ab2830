"""What a sandboxed program is told: environment, directory, names, user."""

import os

import pytest

from lib.runner import SECRET, text

ALWAYS = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "LANG", "PWD"}


def environment(outcome):
    return dict(word.split("=", 1) for word in text(outcome.ok().out).split("\0") if word)


def env_file(cloister, content):
    path = cloister.directory("env") / "env"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("image", ["host", "rootfs"])
def test_nothing_of_the_callers_environment_enters(cloister, rootfs, image, world):
    argv = ["/usr/bin/env", "-0"] if image == "host" else ["probe", "env"]
    seen = environment(cloister.run("host" if image == "host" else rootfs, *argv, env={"LD_PRELOAD": "", "FOO": "bar"}))
    assert set(seen) <= ALWAYS, seen
    assert "PATH" in seen and "HOME" in seen
    assert not set(SECRET) & set(seen)
    assert str(world.home) not in seen.values() and seen["HOME"] != "/root"


def test_named_values(cloister, rootfs):
    seen = environment(cloister.run(rootfs, "probe", "env", opts=[
        "-e", "A=1", "--env", "B=two words", "--env=C=", "-eD=x=y", "-e", "E=ü\n2", "-e", "A=last"]))
    assert {k: seen[k] for k in "ABCDE"} == {"A": "last", "B": "two words", "C": "", "D": "x=y", "E": "ü\n2"}


def test_a_name_alone_takes_the_callers_value(cloister, rootfs):
    name = next(iter(SECRET))
    seen = environment(cloister.run(rootfs, "probe", "env", opts=["-e", name, "-e", "NOT_SET_BY_CALLER"]))
    assert seen[name] == SECRET[name]
    assert "NOT_SET_BY_CALLER" not in seen


def test_defaults_can_be_replaced(cloister, rootfs):
    seen = environment(cloister.run(rootfs, "/bin/probe", "env", opts=["-e", "PATH=/a:/b", "-e", "HOME=/h"]))
    assert seen["PATH"] == "/a:/b" and seen["HOME"] == "/h"


def test_env_file(cloister, rootfs):
    path = env_file(cloister, "# a comment\n\nA=1\nB=two words\nC=\nD=a=b # not a comment\nCLOISTER_TEST_SECRET\nNOT_SET\n")
    seen = environment(cloister.run(rootfs, "probe", "env", opts=["--env-file", path]))
    assert {k: seen.get(k) for k in "ABCD"} == {"A": "1", "B": "two words", "C": "", "D": "a=b # not a comment"}
    assert seen["CLOISTER_TEST_SECRET"] == "of-the-caller-only"
    assert "NOT_SET" not in seen


def test_flags_win_over_the_env_file(cloister, rootfs):
    path = env_file(cloister, "A=file\nB=file\n")
    seen = environment(cloister.run(rootfs, "probe", "env", opts=["-e", "A=flag", "--env-file", path]))
    assert (seen["A"], seen["B"]) == ("flag", "file")


def test_env_file_without_a_last_newline(cloister, rootfs):
    assert environment(cloister.run(rootfs, "probe", "env", opts=["--env-file", env_file(cloister, "A=1")]))["A"] == "1"


@pytest.mark.parametrize("content,line", [("A=1\n=x\n", 2), ("A=1\nB=1\n a b=2\n", 3), (b"A=\0x\n", 1), (b"A=1\n\0", 2)],
                         ids=["no-name", "space-in-name", "nul", "nul-line"])
def test_a_bad_env_file_is_refused_with_its_line(cloister, rootfs, content, line):
    cloister.run(rootfs, "true", opts=["--env-file", env_file(cloister, content)]).refused(rf"\b{line}\b")


@pytest.mark.parametrize("value", ["", "=x", "=", "A B=1", "A\nB=1"])
def test_a_bad_name_is_refused(cloister, rootfs, value):
    cloister.run(rootfs, "true", opts=["-e", value]).refused()


@pytest.mark.parametrize("workdir", ["/srv/work", "/tmp", "/", "/srv/../srv/./open/", "/var/tmp"])
def test_workdir(cloister, rootfs, workdir):
    for opts in (["-w", workdir], [f"--workdir={workdir}"]):
        assert cloister.run(rootfs, "pwd", opts=opts).ok().word() == os.path.normpath(workdir)


def test_default_workdirs(cloister, rootfs):
    assert cloister.run(rootfs, "pwd").ok().word() == "/"
    assert cloister.run("host", "pwd").ok().word() == "/tmp"


@pytest.mark.parametrize("workdir", ["", "relative", "./x", "/etc/image-file", "/srv\n/work/no"])
def test_a_bad_workdir_is_refused(cloister, rootfs, workdir):
    cloister.run(rootfs, "pwd", opts=["-w", workdir]).refused()


def test_user_and_group(cloister, rootfs):
    assert cloister.run(rootfs, "sh", "-c", "id -u; id -g").ok().lines() == ["1000", "1000"]
    assert cloister.run(rootfs, "sh", "-c", "id -u; id -g", opts=["-u", "1234:1235"]).ok().lines() == ["1234", "1235"]
    assert cloister.run(rootfs, "sh", "-c", "id -u", opts=["--user=4321"]).ok().lines() == ["4321"]


def test_no_supplementary_groups(cloister, rootfs):
    assert set(cloister.run(rootfs, "id", "-G").ok().word().split()) == {"1000"}


@pytest.mark.parametrize("root", ["0", "0:0", "root"])
def test_strict_turns_root_into_1000_and_says_so(cloister, rootfs, root):
    outcome = cloister.run(rootfs, "sh", "-c", "id -u; id -g", opts=["-u", root]).ok()
    assert outcome.lines() == ["1000", "1000"]
    assert text(outcome.err).startswith("cloister: ") and outcome.err.count(b"\n") == 1 and b"1000" in outcome.err


@pytest.mark.parametrize("user", ["", ":", "-1", "1000:", ":1000", "1000:1000:1000", "4294967295", "4294967296",
                                  "99999999999999999999", "0x10", "1e3", " 1", "1 ", "no-such-user"])
def test_a_bad_user_is_refused(cloister, rootfs, user):
    cloister.run(rootfs, "true", opts=["-u", user]).refused()


def test_hostname(cloister, rootfs):
    assert cloister.run(rootfs, "hostname", opts=["--hostname", "a-box.example"]).ok().word() == "a-box.example"
    with open("/proc/sys/kernel/hostname") as file:
        assert cloister.run(rootfs, "hostname").ok().word() != file.read().strip()


@pytest.mark.parametrize("hostname", ["", "a b", "a/b", "a\nb", "x" * 65, "-x", "ü", "a..b", "."])
def test_a_bad_hostname_is_refused(cloister, rootfs, hostname):
    cloister.run(rootfs, "true", opts=["--hostname", hostname]).refused()


@pytest.mark.parametrize("flag", ["--name", "--tenant"])
@pytest.mark.parametrize("value", ["", ".", "..", "../x", "a/b", "-x", "a b", "a\nb", "\x1b[2J", "x" * 300, "ü", "a:b", "*"])
def test_bad_names_are_refused(cloister, rootfs, flag, value):
    cloister.run(rootfs, "true", opts=[f"{flag}={value}"]).refused()


@pytest.mark.parametrize("label", ["", "=v", "no-value", "a\n=v"])
def test_bad_labels_are_refused(cloister, rootfs, label):
    cloister.run(rootfs, "true", opts=["--label", label]).refused()


def test_umask_and_cwd_are_plain(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "umask", umask=0o777).ok()
    assert outcome.word() == "0022"


@pytest.mark.parametrize("allowed", ["as it is", "one"])
def test_processors_are_the_callers(cloister, rootfs, allowed):
    """Init may have been moved at its birth; the command must not be told from others by that."""
    ours = os.sched_getaffinity(0)
    mine = ours if allowed == "as it is" else {min(ours)}
    os.sched_setaffinity(0, mine)
    try:
        for _ in range(10):
            status = text(cloister.run("host", "/bin/cat", "/proc/self/status").ok().out)
            mask = next(line.split()[1] for line in status.splitlines() if line.startswith("Cpus_allowed:"))
            assert {cpu for cpu in range(4096) if int(mask.replace(",", ""), 16) >> cpu & 1} == mine
    finally:
        os.sched_setaffinity(0, ours)
