"""The commands that engines and people ask for words: list, spec, features, --version, and what isn't there yet."""

import json
import re
import subprocess

import pytest

from lib.runner import text

GLOBAL = [["--log", "/dev/null"], ["--log-format", "json"], ["--debug"], ["--log=/dev/null", "--log-format=text"], ["--systemd-cgroup=false"]]


# list

def test_list_as_a_table(anyone):
    created = anyone.create(anyone.bundle().args("sleep", "1000"))
    lines = anyone.call("list").ok().lines()
    head, row = lines[0].split(), lines[1].split()
    assert {"ID", "PID", "STATUS", "BUNDLE"} <= {word.upper() for word in head}
    assert row[0] == created.id and str(created.pid) in row and "created" in row and str(created.bundle.directory) in row


def test_an_empty_list(anyone):
    assert anyone.listed() == []
    assert json.loads(anyone.call("list", "-f", "json").ok().out or b"null") in (None, [])


def test_list_of_a_directory_that_is_not_there(anyone):
    """Nobody has made a container yet."""
    outcome = anyone.call("list", "-q", options=["--root", anyone.directory("none") / "below"])
    assert outcome.exit == 0 and outcome.out.split() == [], f"{outcome}"


def test_other_files_in_the_state_directory(anyone):
    """No reason to fail."""
    container = anyone.create(anyone.bundle().args("sleep", "1000"))
    (anyone.root / "a-file").write_text("x")
    (anyone.root / "an-empty-directory").mkdir()
    assert container.id in anyone.listed()
    (anyone.root / "a-file").unlink()
    (anyone.root / "an-empty-directory").rmdir()


def test_two_state_directories_know_nothing_of_each_other(make_runtime):
    first, second = make_runtime(), make_runtime()
    container = first.create(first.bundle().args("sleep", "1000"))
    assert first.listed() == [container.id] and second.listed() == []
    second.refused(second.call("state", container.id))
    other = second.create(second.bundle().args("sleep", "1000"), identifier=container.id)
    second.ids.append(container.id)
    assert other.pid != container.pid
    assert second.call("delete", "--force", container.id).exit == 0
    container.is_now("created")


def test_the_state_directory_is_closed_to_others(runtime):
    """What is in it says how containers are made."""
    root = runtime.directory("place") / "state"
    runtime.root = root
    container = runtime.create(runtime.bundle().args("sleep", "1000"))
    assert root.stat().st_mode & 0o066 == 0 or all(path.stat().st_mode & 0o077 == 0 for path in root.iterdir())
    container.delete("--force")


# spec

@pytest.mark.parametrize("words", [[], ["--rootless"]])
def test_spec_writes_a_configuration_that_runs(make_runtime, words):
    """In the current directory; --rootless for an ordinary user."""
    runtime = make_runtime("user" if words else "root")
    bundle = runtime.bundle()
    outcome = runtime.call("spec", *words, cwd=bundle.directory)
    assert outcome.ok().out == b""
    written = json.loads(bundle.path.read_text())
    assert written["ociVersion"].startswith("1.") and written["process"]["args"] == ["sh"] and written["root"]["path"] == "rootfs"
    bundle.config = written
    bundle.set("root.path", str(bundle.rootfs)).set("process.terminal", False).sh("echo fine")
    if not words:
        bundle.set("linux.cgroupsPath", runtime.bundle().linux["cgroupsPath"])
    assert runtime.output(bundle) == "fine\n"


def test_spec_overwrites_nothing(runtime):
    place = runtime.directory("spec")
    (place / "config.json").write_text("mine")
    runtime.refused(runtime.call("spec", cwd=place), "exist")
    assert (place / "config.json").read_text() == "mine"


def test_spec_elsewhere(runtime):
    place = runtime.directory("spec")
    runtime.call("spec", "--bundle", place).ok()
    assert json.loads((place / "config.json").read_text())["linux"]


# features

def test_features(runtime):
    """features.md: what a runtime knows, independent of containers."""
    found = json.loads(runtime.call("features").ok().out)
    assert re.fullmatch(r"1\.\d+\.\d+(-.+)?", found["ociVersionMin"]) and re.fullmatch(r"1\.\d+\.\d+(-.+)?", found["ociVersionMax"])
    assert set(found["hooks"]) == {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}
    assert {"ro", "rbind", "bind", "nosuid", "rprivate", "rslave", "tmpcopyup", "rro"} <= set(found["mountOptions"])
    linux = found["linux"]
    assert {"mount", "network", "pid", "ipc", "uts", "user", "cgroup"} <= set(linux["namespaces"])
    assert {"CAP_CHOWN", "CAP_SYS_ADMIN"} <= set(linux["capabilities"])
    assert linux["cgroup"]["v1"] is True and linux["cgroup"]["v2"] is True
    seccomp = linux["seccomp"]
    assert seccomp["enabled"] is True and {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY", "SCMP_ACT_KILL_PROCESS"} <= set(seccomp["actions"])
    assert {"SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"} <= set(seccomp["operators"]) and {"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"} <= set(seccomp["archs"])


def test_what_features_tell_of_newer_things(runtime):
    """Since 1.2: idmapped mounts, flags of seccomp, Intel RDT, annotations that may be unsafe."""
    found = json.loads(runtime.call("features").ok().out)
    linux = found["linux"]
    assert "idmap" in found["mountOptions"] and linux["mountExtensions"]["idmap"]["enabled"] is True
    assert "time" in linux["namespaces"] and "SECCOMP_FILTER_FLAG_LOG" in linux["seccomp"]["supportedFlags"] and "SECCOMP_FILTER_FLAG_LOG" in linux["seccomp"]["knownFlags"]
    assert isinstance(linux["intelRdt"]["enabled"], bool) and isinstance(linux["apparmor"]["enabled"], bool) and isinstance(linux["selinux"]["enabled"], bool)


@pytest.mark.parametrize("option", [["nosuid"], ["noexec", "nodev"]])
def test_what_features_tell_is_true(runtime, option):
    found = json.loads(runtime.call("features").ok().out)
    assert set(option) <= set(found["mountOptions"])
    for name in ("ro", "rbind", *option):
        bundle = runtime.bundle().mount("/data", runtime.directory("volume"), "rbind", name)
        assert runtime.run(bundle).exit == 0


# the rest

@pytest.mark.parametrize("word", ["--version", "-v"])
def test_version(anyone, word):
    """docker info and podman info show the first line."""
    outcome = anyone.call(word)
    assert outcome.exit == 0 and re.search(r"(?m)^(runc|crun|cloister-oci) version \d+\.\d+", text(outcome.out)), f"{outcome}"
    assert re.search(r"(?m)^spec: 1\.\d+\.\d+", text(outcome.out)), f"{outcome}"


@pytest.mark.parametrize("options", GLOBAL, ids=" ".join)
def test_global_options_before_the_command(runtime, options):
    outcome = runtime.run(runtime.bundle().sh("echo fine"), options=options)
    assert outcome.ok().out == b"fine\n"


@pytest.mark.parametrize("value", ["true", "false", "auto"])
def test_rootless_as_an_option(runtime, value):
    if runtime.name == "runc" and value == "auto":
        value = "false"
    outcome = runtime.call("list", "-q", options=["--rootless", value] if runtime.name != "runc" else ["--rootless=" + value])
    assert outcome.exit == 0, f"{outcome}"


@pytest.mark.parametrize("command", ["checkpoint", "restore"])
def test_what_is_not_there_yet_says_so(runtime, command, waiting):
    box = waiting(runtime, runtime.bundle())
    outcome = runtime.call(command, box.id)
    runtime.refused(outcome, "not (supported|implemented|there)|criu|unknown command")
    box.is_now("running")


@pytest.mark.parametrize("words", [["nosuch"], ["--nosuch", "list"], ["list", "--nosuch"], ["create"], ["state", "a", "b"], ["start", "a", "b"], ["kill"], []])
def test_command_lines_that_are_none(runtime, words):
    outcome = runtime.call(*words, cwd=runtime.directory())
    assert outcome.exit != 0 or not words, f"{outcome}"
    assert outcome.err or outcome.out


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["create", "--help"], ["exec", "--help"]], ids=" ".join)
def test_help(runtime, words):
    outcome = runtime.call(*words)
    assert outcome.exit == 0 and b"--" in outcome.out and outcome.err == b"", f"{outcome}"


def test_help_has_the_letters(runtime):
    assert "  -d, --detach " in runtime.call("exec", "--help").out.decode()
    assert "  -v, --version " in runtime.call("--help").out.decode()


def test_an_environment_of_an_engine(runtime):
    """conmon's own variables mean nothing to a runtime, and don't reach the container; nor has XDG_RUNTIME_DIR to be there."""
    outcome = runtime.run(runtime.bundle().args("env"), env={"_OCI_SYNCPIPE": "3", "_OCI_STARTPIPE": "4", "XDG_RUNTIME_DIR": "/no/such"})
    assert not [line for line in outcome.ok().lines() if line.startswith(("_OCI", "XDG"))]


def test_an_almost_empty_environment(runtime):
    bundle = runtime.bundle().sh("echo fine").write()
    argv = runtime.argv("run", "--bundle", bundle.directory, runtime.new_id())
    done = subprocess.run(argv, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, capture_output=True, timeout=60, cwd="/")
    assert (done.returncode, done.stdout) == (0, b"fine\n"), f"{done}"


def test_a_current_directory_that_is_gone(runtime):
    bundle = runtime.bundle().sh("echo fine").write()
    place = runtime.directory("gone")
    argv = ["sh", "-c", f'cd {place} && rmdir {place} && exec "$@"', "sh", *runtime.argv("run", "--bundle", bundle.directory, runtime.new_id())]
    done = subprocess.run(argv, env=runtime.environment(), capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"fine\n"), f"{done}"
