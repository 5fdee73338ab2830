"""ps, inspect, kill, prune, doctor, version, completion."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from lib.patience import patience
from lib.record import LAYERS
from lib.runner import poll, text
from lib.terminal import Terminal


@pytest.fixture
def sandbox(cloister, rootfs):
    """One sandbox that tells its signals, called `target`; (cloister, Running, id)."""
    with cloister.start(rootfs, "probe", "trap", opts=["--name", "target", "--label", "k=v", "--tenant", "t1"]) as running:
        running.expect(b"ready\n")
        ids = cloister.call("ps", "-q").ok().lines()
        assert len(ids) == 1
        yield cloister, running, ids[0]
    cloister.call("prune")


def rows(cloister, *words):
    return json.loads(cloister.call("ps", "--format", "json", *words).ok().out)


def test_ps_of_nothing(cloister):
    assert cloister.call("ps", "-q").ok().out == b""
    assert rows(cloister) == [] and rows(cloister, "-a") == []
    assert len(cloister.call("ps").ok().lines()) <= 1


@pytest.mark.parametrize("words,said", [
    (["rnu"], 'unknown command "rnu"; did you mean run?'), (["versoin"], "did you mean version?"), (["quux"], 'unknown command "quux"; see cloister help'),
    (["ls"], "ls: there is none; see ps"), (["top", "x"], "top: there is none; see stats"), (["host", "true"], "say cloister run host"),
    (["rootfs:/x", "true"], "say cloister run rootfs:/x"), (["ps", "--filter", "x=y"], "--filter: expected id=, name=, label="), (["ps", "-f", "name="], "--filter: nothing follows"), (["ps", "--al"], "did you mean --all?"),
    (["prune", "--volumes"], "--volumes: there are none"), (["kill", "--signl", "9", "x"], "did you mean --signal?"),
    (["--verison"], "did you mean --version"), (["--quux"], "options follow the command"), (["run", "rootfs:", "x"], "image: rootfs: needs a directory"),
    (["ps", "--json"], "--json: say --format json"), (["doctor", "--json"], "--format json"), (["version", "--json"], "--format json"),
    (["kill", "-65", "x"], "-65: expected a signal's name or 1 to 64"),
    (["help", "inspct"], "did you mean inspect?")])
def test_unknown_words_are_answered(cloister, words, said):
    cloister.call(*words).refused(said)


def test_prune_never_asks(cloister):
    assert cloister.call("prune", "-f").ok().out and cloister.call("prune", "--force").ok().out


def test_ps_shows_what_runs(sandbox):
    cloister, running, identifier = sandbox
    (row,) = rows(cloister)
    assert row["id"] == identifier and row["name"] == "target"
    assert row["image"].startswith("rootfs:")
    table = cloister.call("ps").ok().lines()
    assert len(table) == 2 and table[0].isupper() and "target" in table[1] and identifier[:12] in table[1]
    assert [r["id"] for r in rows(cloister, "-a")] == [identifier]


def test_ps_after_the_end(sandbox):
    cloister, running, _ = sandbox
    running.signal(signal.SIGKILL)
    poll(lambda: cloister.call("ps", "-q").ok().out == b"", 10, "ps still shows a sandbox whose supervisor is dead")


def test_the_id_is_that_of_the_record(cloister, rootfs):
    with cloister.start(rootfs, "probe", "trap", "0") as running:
        running.expect(b"ready\n")
        (identifier,) = cloister.call("ps", "-q").ok().lines()
        running.signal(signal.SIGTERM)
        assert running.wait().ok().result["id"] == identifier


@pytest.mark.parametrize("by", ["id", "name"])
def test_inspect(sandbox, by):
    cloister, _, identifier = sandbox
    (seen,) = json.loads(cloister.call("inspect", identifier if by == "id" else "target").ok().out)
    assert seen["id"] == identifier and seen["name"] == "target" and seen["tenant"] == "t1"
    assert seen["wall"] == "container" and seen["image"].startswith("rootfs:")
    assert set(seen["layers"]) <= LAYERS and "seccomp" in seen["layers"]
    assert seen["limits"]


def test_inspect_of_two_with_one_unknown(sandbox):
    cloister, _, identifier = sandbox
    outcome = cloister.call("inspect", identifier, "no-such-one")
    assert outcome.exit == 125 and outcome.err.count(b"\n") == 1 and b"no-such-one" in outcome.err


@pytest.mark.parametrize("words,number", [([], None), (["-s", "USR1"], 10), (["-s", "SIGUSR1"], 10), (["-s", "10"], 10), (["-s", "TERM"], 15),
                                          (["--signal", "HUP"], 1), (["-s", "9"], None), (["-10"], 10), (["-9"], None), (["-s", "KILL"], None)])
def test_kill(nothing_left, sandbox, words, number):
    cloister, running, identifier = sandbox
    cloister.call("kill", *words, "target").ok()
    if number is None:
        outcome = running.wait(20)
        assert outcome.exit == 137, str(outcome)
        assert outcome.result["status"] in ("killed", "signaled")
    else:
        running.expect(b"got %d\n" % number)
        cloister.call("kill", identifier).ok()
        assert running.wait(20).exit == 137
    nothing_left()


def test_kill_several(cloister, rootfs):
    with cloister.start(rootfs, "probe", "wait", opts=["--name", "a"]) as a, cloister.start(rootfs, "probe", "wait", opts=["--name", "b"]) as b:
        a.expect(b"ready")
        b.expect(b"ready")
        cloister.call("kill", "a", "b").ok()
        assert (a.wait(20).exit, b.wait(20).exit) == (137, 137)


@pytest.mark.parametrize("command", ["inspect", "kill"])
@pytest.mark.parametrize("name", ["no-such-one", "", "..", "../../etc", "/", "a/b", "x" * 5000, "*", "\n", "-"])
def test_unknown_names(cloister, command, name):
    cloister.call(command, name).refused()


@pytest.mark.parametrize("words,said", [
    (["inspect", "-x"], "unknown option -x"), (["inspect", "--", "-x"], 'no sandbox "-x"'), (["inspect", "--", "--help"], 'no sandbox "--help"'),
    (["inspect", "--", "--"], 'no sandbox "--"'), (["kill", "-x"], "-x"), (["kill", "--", "-x"], 'no sandbox "-x"'),
    (["kill", "--", "-9"], 'no sandbox "-9"'), (["kill", "-9", "--", "-9"], 'no sandbox "-9"'), (["kill", "-9"], "no sandbox named"),
    (["kill", "-s", "--", "-x"], '"?--"?'), (["ps", "-x"], "unknown option -x"), (["ps", "--", "-x"], 'no arguments, got "-x"'), (["prune", "--", "-x"], 'no arguments, got "-x"'),
    (["doctor", "--", "-x"], 'no arguments, got "-x"'), (["version", "--", "-x"], 'no arguments, got "-x"'), (["completion", "--", "-x"], 'bash, zsh or fish, got "-x"'),
    (["run", "--name=-x", "host", "true"], 'name: "-x" must start with a letter or digit'), (["run", "--name", "-x", "host", "true"], 'name: "-x" must start'),
    (["run", "--name=--help", "host", "true"], 'name: "--help" must start'), (["run", "--tenant=-x", "host", "true"], 'tenant: "-x" must start'),
    (["run", "--", "-x"], 'the image\'s name "-x"')], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_names_that_look_like_options(cloister, words, said, nothing_left):
    """After -- they are names, and no sandbox has such a one."""
    cloister.call(*words).refused(said)


@pytest.mark.parametrize("words", [["inspect", "--"], ["kill", "-s", "USR1", "--"], ["kill", "-10", "--"]], ids=" ".join)
def test_names_may_come_after_two_dashes(sandbox, words):
    cloister, running, identifier = sandbox
    outcome = cloister.call(*words, "target").ok()
    if words[0] == "kill":
        running.expect(b"got 10\n")
    else:
        assert json.loads(outcome.out)[0]["id"] == identifier


OTHERS = ["pull", "import", "images", "rmi", "login", "logout", "cp", "ps", "stats", "events", "inspect", "logs", "attach", "wait", "stop", "kill", "pause", "unpause", "rm", "prune", "doctor",
          "version", "completion"]


def test_of_all_commands_run_and_exec_alone_end_their_options(cloister):
    listed = re.findall(r"^  (\w+) ", text(cloister.call("help").ok().out).partition("\nCommands:\n")[2], re.MULTILINE)
    assert sorted(listed) == sorted(["exec", "job", "run", "wasm", *OTHERS])  # job and wasm have commands of their own
    assert b"Usage:" not in cloister.call("run", "host", "--help").out
    cloister.call("exec", "nobody", "--help").refused("no running sandbox")


@pytest.mark.parametrize("command", OTHERS)
def test_options_may_stand_behind_arguments(cloister, command):
    assert cloister.call(command, "x", "y", "--help").ok().out == cloister.call(command, "--help").ok().out
    cloister.call(command, "x", "--no-such").refused("unknown option --no-such")
    cloister.call(command, "x", "-?", "y").refused("unknown option -\\?")
    assert b"unknown option" not in cloister.call(command, "--", "x", "--no-such").refused().err


@pytest.mark.parametrize("words,said", [
    (["inspect", "no-such", "--image"], "no image no-such here"), (["inspect", "no-such", "--format", "table"], '--format: expected json, got "table"'),
    (["kill", "no-such", "-s"], "--signal needs a value"), (["kill", "no-such", "-s", "NOSUCH"], "--signal: .*NOSUCH"),
    (["rmi", "x", "-a"], "--all: see cloister prune --all"), (["pull", "x", "--max-size", "much"], "--max-size: expected a size"),
    (["import", "x", "y", "--change", "EXPOSE 80"], "--change: expected CMD"), (["login", "localhost:1", "-p", "secret"], "--password: other users"),
    (["login", "localhost:1", "--password-stdin"], "--password-stdin needs --username"), (["images", "x", "--format"], "--format needs a value")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_options_behind_arguments_are_obeyed(cloister, words, said):
    cloister.call(*words).refused(said)


def test_a_signal_may_be_named_behind_the_sandbox(sandbox):
    cloister, running, _ = sandbox
    cloister.call("kill", "target", "-s", "USR1").ok()
    running.expect(b"got 10\n")


SAYING = [["ps", "-q"], ["inspect", "target"], ["kill", "-s", "USR1", "target"], ["kill", "no-such"], ["prune"], ["doctor"], ["version"],
          ["completion", "bash"], ["help"], ["no-such"]]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)], ids=lambda fds: "".join(map(str, fds)))
@pytest.mark.parametrize("words", SAYING, ids=" ".join)
def test_closed_standard_descriptors(sandbox, words, closed):
    """As if they were /dev/null: the same status, the same on those that are open, and nothing in a file
    of the state directory, which is what the next descriptors are."""
    cloister, running, identifier = sandbox
    usual = cloister.call(*words)
    before = state_files(cloister)
    outcome = cloister.call(*words, preexec_fn=lambda: [os.close(fd) for fd in closed])
    assert outcome.exit == usual.exit, (str(outcome), str(usual))
    assert outcome.out == (b"" if 1 in closed else usual.out), (str(outcome), str(usual))
    assert outcome.err == (b"" if 2 in closed else usual.err), (str(outcome), str(usual))
    after = state_files(cloister)
    if words == ["doctor"]:  # which takes a seat and gives it back: its bytes remain
        assert not [line for line in [*usual.out.splitlines(), *usual.err.splitlines()] for data in after.values() if line and line in data]
    else:
        assert after == before
    assert cloister.call("ps", "-q").ok().lines() == [identifier] and running.process.poll() is None


def state_files(cloister):
    return {path: path.read_bytes() for path in cloister.state().rglob("*") if path.is_file()}


@pytest.mark.parametrize("words", [["inspect"], ["kill"], ["kill", "-s", "NOSUCH", "x"], ["kill", "-s", "0x9", "x"], ["kill", "-s", "65", "x"],
                                   ["kill", "-s", "-1", "x"], ["kill", "-s"], ["kill", "-s", "", "x"], ["ps", "extra"], ["ps", "--format", "xml"],
                                   ["ps", "--no-such"], ["prune", "extra"], ["doctor", "extra"], ["version", "extra"], ["version", "--format", ""],
                                   ["completion"], ["completion", "tcsh"], ["completion", "bash", "zsh"], [""], ["no-such-command"], ["--no-such"],
                                   ["RUN"], ["ru"], ["run"], ["run", "--"]])
def test_wrong_words(cloister, words):
    cloister.call(*words).refused()


def test_a_bad_signal_name_does_not_kill(sandbox):
    cloister, running, _ = sandbox
    cloister.call("kill", "-s", "NOSUCH", "target").refused("NOSUCH")
    assert running.process.poll() is None


def test_a_name_in_use_is_refused(sandbox, rootfs):
    cloister, _, _ = sandbox
    cloister.run(rootfs, "true", opts=["--name", "target"]).refused("target")


def test_a_name_is_free_again_after_the_end(cloister, rootfs):
    for _ in range(3):
        cloister.run(rootfs, "true", opts=["--name", "again"]).ok()


def test_one_user_does_not_see_or_reach_anothers(as_root, as_user, rootfs):
    with as_root.start(rootfs, "probe", "trap", opts=["--name", "of-root"]) as running:
        running.expect(b"ready\n")
        (identifier,) = as_root.call("ps", "-q").ok().lines()
        assert as_user.call("ps", "-q", "-a").ok().out == b""
        for name in ("of-root", identifier):
            as_user.call("kill", name).refused()
            as_user.call("inspect", name).refused()
        assert running.process.poll() is None


def test_the_state_directory_is_closed(sandbox):
    cloister, _, _ = sandbox
    for path in (cloister.state(), *(p for p in cloister.state().rglob("*") if p.is_dir())):
        assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0, path
    assert cloister.state().stat().st_mode & 0o077 == 0


def test_prune_of_nothing(cloister, nothing_left):
    assert cloister.call("prune").ok().err == b""


def test_prune_spares_what_runs(sandbox):
    cloister, running, identifier = sandbox
    cloister.call("prune").ok()
    assert running.process.poll() is None and cloister.call("ps", "-q").ok().lines() == [identifier]
    running.signal(signal.SIGUSR1)
    running.expect(b"got 10\n")


def test_prune_right_after_kill_9(cloister, rootfs):
    """The supervisor may still be on its way out, and so alive by its lock."""
    with cloister.start(rootfs, "probe", "trap") as running:
        running.expect(b"ready\n")
        (identifier,) = cloister.call("ps", "-q").ok().lines()
        (seen,) = json.loads(cloister.call("inspect", identifier).ok().out)
        os.kill(seen["supervisor_pid"], signal.SIGKILL)
        assert cloister.call("prune").ok().out == f"removed {identifier}\n".encode()


def test_prune_removes_leftovers_of_the_killed(cloister, rootfs, nothing_left):
    for _ in range(3):
        with cloister.start(rootfs, "probe", "wait") as running:
            running.expect(b"ready")
            running.signal(signal.SIGKILL)
            running.process.wait(10)
    nothing_left(prune=True)


def test_ps_for_programs_knows_the_commands_process(cloister, rootfs):
    with cloister.start(rootfs, "probe", "wait", opts=["--name", "numbered"], result=False) as running:
        running.expect(b"ready")
        listed = json.loads(cloister.call("ps", "--format", "json").ok().out)
        pid = next(one["pid"] for one in listed if one["name"] == "numbered")
        assert Path(f"/proc/{pid}/comm").read_text() == "probe\n"


def test_ps_for_programs_waits_for_no_stopped_cloister(cloister, rootfs):
    with cloister.start(rootfs, "probe", "wait", opts=["--name", "stopped"], result=False) as running:
        running.expect(b"ready")
        running.signal(signal.SIGSTOP)
        outcome = cloister.call("ps", "--format", "json").ok()
        running.signal(signal.SIGCONT)
        assert any(one["name"] == "stopped" and one["pid"] for one in json.loads(outcome.out))
        assert outcome.seconds < patience(5)  # a supervisor's answer is waited for 10 s


def test_doctor_for_people(cloister):
    outcome = cloister.call("doctor")
    assert outcome.exit in (0, 1), str(outcome)
    said = text(outcome.out)
    for word in ("container", "userns|user namespace", "seccomp", "landlock", "apparmor", "cgroup|limits", "overlay"):
        assert re.search(word, said, re.IGNORECASE), f"no {word} in {said}"
    assert b"\x1b" not in outcome.out


def test_doctor_of_root_finds_the_container_wall_working(as_root):
    assert as_root.call("doctor").exit == 0


def test_doctor_for_programs(cloister):
    outcome = cloister.call("doctor", "--format", "json")
    seen = json.loads(outcome.out)
    assert isinstance(seen, dict) and outcome.exit == cloister.call("doctor").exit
    said = json.dumps(seen)
    for word in ("container", "seccomp", "landlock", "limits", "disk-limit"):
        assert word in said


def test_doctor_tells_the_user_about_cgroups(as_user):
    assert re.search(r"--without limits|delegat", text(as_user.call("doctor").out))


@pytest.mark.parametrize("hidden", ["cpu"], ids=["v1-only"])
def test_doctor_tells_what_runs_without_a_controller(as_root, rootfs, hidden):
    """What needs no --cpus runs all the same, so that the wall works."""
    path = Path("/sys/fs/cgroup") / hidden
    if not (path / "cpu.cfs_quota_us").exists() or (path / "cpuacct.usage").exists():
        pytest.skip("no v1 hierarchy of this controller alone")
    hiding = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none {path} && exec \"$@\"", "hiding"]
    done = subprocess.run([*hiding, *as_root.argv("doctor")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and re.search(r"cgroups +works +.*; --cpus can't be had", done.stdout), done.stdout
    assert re.search(r"^cgroups: for --cpus: .*/cgroup/cpu", done.stdout, re.MULTILINE), done.stdout
    assert subprocess.run([*hiding, *as_root.argv("run", rootfs, "true")], timeout=60).returncode == 0


def test_doctor_leaves_nothing(cloister, nothing_left):
    cloister.call("doctor")
    nothing_left()


def test_version(cloister):
    line = cloister.call("version").ok().lines()[0]
    number = re.search(r"\d+\.\d+(\.\d+)?", line)[0]
    assert line.startswith("cloister ")
    assert json.loads(cloister.call("version", "--format", "json").ok().out)["version"].startswith(number)


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["-h"], ["ps", "--help"], ["kill", "--help"]])
def test_help_goes_to_stdout(cloister, words):
    outcome = cloister.call(*words).ok()
    assert b"cloister" in outcome.out and outcome.err == b"" and outcome.out.count(b"\n") > 3


def test_run_help_names_the_flags(cloister):
    said = text(cloister.call("run", "--help").ok().out)
    for flag in ("--memory", "--timeout", "--policy", "--without", "--volume", "--die-with-parent", "--result", "--seccomp"):
        assert flag in said


def test_no_command_at_all(cloister):
    """Alone it is a question, not a mistake: the commands, on stdout."""
    outcome = cloister.call().ok()
    assert b"doctor" in outcome.out and outcome.err == b""


SHELLS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_valid(cloister, shell, world):
    script = world.directory("completion") / shell
    script.write_bytes(cloister.call("completion", shell).ok().out)
    for word in ("run", "doctor", "timeout", "policy", "strict"):
        assert word in script.read_text()
    done = subprocess.run([*SHELLS[shell], str(script)], capture_output=True, timeout=20)
    assert done.returncode == 0 and done.stderr == b"", done.stderr


def complete(script, *words):
    """What bash offers after these words."""
    program = (f'source "{script}"; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; COMP_LINE="{" ".join(words)}"; COMP_POINT=${{#COMP_LINE}}; '
               'f=$(complete -p cloister | sed -E "s/.*-F ([^ ]+).*/\\1/"); "$f" cloister "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; '
               'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=20)
    return {w.strip().rstrip("=") for w in done.stdout.split("\n") if w.strip()}


def test_bash_completes(cloister, world):
    script = world.directory("completion") / "bash"
    script.write_bytes(cloister.call("completion", "bash").ok().out)
    assert {"run", "ps", "inspect", "kill", "prune", "doctor", "version"} <= complete(script, "cloister", "''")
    assert complete(script, "cloister", "do") == {"doctor"}
    assert "--timeout" in complete(script, "cloister", "run", "--ti")


# (what is typed, what one Tab makes of it)
TYPED = [("cloister do", "cloister doctor"), ("cloister run --timeo", "cloister run --timeout"), ("cloister run --profile bui", "cloister run --profile build"),
         ("cloister version --format js", "cloister version --format json"), ("cloister run roo", "cloister run rootfs:"),
         ("cloister kill tar", "cloister kill target"), ("cloister inspect tar", "cloister inspect target")]


@pytest.fixture
def shell_home(sandbox):
    """A home for a shell in whose PATH cloister is, with a sandbox called target; (cloister, home, environment)."""
    cloister = sandbox[0]
    home = cloister.directory("home")
    environment = cloister.environment({"HOME": str(home), "TERM": "dumb"})
    environment["PATH"] = f"{os.path.dirname(cloister.binary)}:{environment['PATH']}"
    return cloister, home, environment


@pytest.mark.parametrize("typed,wanted", TYPED, ids=[typed for typed, _ in TYPED])
def test_fish_completes(shell_home, typed, wanted):
    cloister, home, environment = shell_home
    script = home / "cloister.fish"
    script.write_bytes(cloister.call("completion", "fish").ok().out)
    done = subprocess.run([*cloister.prefix(), "fish", "--no-config", "-c", f"source {script}; complete -C '{typed}'"],
                          env=environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    offered = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert offered == [wanted.split()[-1]] and done.stderr == "", (done.stdout, done.stderr)


@pytest.mark.parametrize("typed,wanted", TYPED, ids=[typed for typed, _ in TYPED])
def test_zsh_completes(shell_home, typed, wanted):
    """As it is installed: a function in $fpath, loaded at the first Tab."""
    cloister, home, environment = shell_home
    (home / "functions").mkdir()
    (home / "functions/_cloister").write_bytes(cloister.call("completion", "zsh").ok().out)
    with Terminal() as terminal:
        terminal.launch([*cloister.prefix(), "zsh", "-f", "-i"], environment)
        # a key that shows the line as it stands
        terminal.type(f"PROMPT=; fpath=({home}/functions $fpath); autoload -U compinit; compinit -u -D; ".encode() +
                      b"show() { print -r -- \"<$BUFFER>\" }; zle -N show; bindkey '^X' show; print rea''dy\n")
        terminal.expect(b"ready\r\n")
        terminal.type(typed.encode())
        terminal.expect(typed.encode())
        terminal.type(b"\t\x18")
        shown = terminal.expect(b">\r\n")
    assert re.findall(rb"<([^<>]*)>\r\n", shown)[-1].decode().strip() == wanted, shown


# later issues, and never

LATER_FLAGS = [["--wall", "vm"], ["--wall", "kernel"]]
NEVER_FLAGS = [["--privileged"], ["--device", "/dev/null"], ["--gpus", "all"], ["-p", "80:80"], ["--publish", "80:80"], ["--restart", "always"],
               ["--cap-add", "SYS_ADMIN"], ["--pid", "host"], ["--ipc", "host"], ["--userns", "host"], ["--pid=host"], ["--cap-add=ALL"],
               ["-v", "named:/data"]]
NEVER_COMMANDS = ["create", "start", "build", "commit", "push"]


@pytest.mark.parametrize("flag", LATER_FLAGS, ids=" ".join)
def test_flags_of_later(cloister, rootfs, flag):
    cloister.run(rootfs, "true", opts=flag).refused(rf"\b{flag[0].split('=')[0].lstrip('-')}\b", "not built yet")


@pytest.mark.parametrize("flag", NEVER_FLAGS, ids=" ".join)
def test_flags_that_would_break_the_wall(cloister, rootfs, flag):
    outcome = cloister.run(rootfs, "true", opts=flag).refused()
    said = text(outcome.err)
    assert "not built yet" not in said and "unknown" not in said.lower() and "unrecognized" not in said.lower(), said
    assert len(said) > 40, f"no reason in {said!r}"


@pytest.mark.parametrize("command", NEVER_COMMANDS)
def test_commands_that_will_not_be(cloister, command):
    said = text(cloister.call(command, "x").refused(rf"\b{command}\b").err)
    assert "not built yet" not in said and "unknown" not in said.lower(), said
