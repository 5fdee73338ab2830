"""exec: one more command in a sandbox that runs."""

import json
import os
import re
import signal
import threading

import pytest

from lib import trees
from lib.exec import sandbox
from lib.patience import patience
from lib.runner import Cloister, Running, alive, descendants, descriptors, host_pid_of, poll, text
from lib.store import Store
from lib.terminal import Terminal

MOST = 32


@pytest.fixture
def room(cloister, rootfs):
    with sandbox(cloister, rootfs) as made:
        yield made


@pytest.fixture
def terminal():
    with Terminal() as made:
        yield made


# --- how it ends ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 125, 126, 127, 200, 255])
def test_the_exit_status_is_the_commands(room, status):
    outcome = room.shell(f"exit {status}")
    assert outcome.exit == status and outcome.err == b"", str(outcome)


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "USR1"])
def test_a_signal_is_128_and_its_number(room, name):
    outcome = room.shell(f"kill -{name} $$")
    number = signal.Signals[f"SIG{name}"]
    assert outcome.exit == 128 + number, str(outcome)
    assert text(outcome.err) == f"cloister: the command was ended by signal {int(number)} (SIG{name})\n", str(outcome)


def test_a_command_that_is_not_there(room):
    for command, message in (("nosuch", "nosuch: command not found in the image's PATH"),
                             ("/no/such", "execute /no/such: No such file or directory")):
        outcome = room.exec(command)
        assert outcome.exit == 127 and text(outcome.err).startswith(f"cloister: {message}"), str(outcome)


def test_a_command_that_can_not_be_executed(room):
    outcome = room.exec("/etc/passwd")
    assert outcome.exit == 126 and text(outcome.err) == "cloister: execute /etc/passwd: Permission denied\n", str(outcome)


def test_who_is_not_there_is_told(cloister):
    cloister.call("exec", "nobody-of-that-name", "true").refused("no running sandbox", "nobody-of-that-name")
    cloister.call("exec").refused("no sandbox named")
    cloister.call("exec", "x").refused("no command")
    cloister.call("exec", "-d", "-t", "x", "true").refused("--detach", "exclude")
    cloister.call("exec", "--privileged", "x", "true").refused("privileged")


def test_by_id_by_a_part_of_it_and_behind_dashes(room):
    listed = json.loads(room.cloister.call("ps", "--format", "json").ok().out)
    name = next(row["id"] for row in listed if row["name"] == room.name)
    for words in ((name, "echo", "-n", "yes"), (name[:8], "--", "echo", "-n", "yes")):
        assert room.cloister.call("exec", *words).ok().out == b"yes"


# --- the same place -----------------------------------------------------------------------


def place(script_runner):
    script = ("for n in user pid mnt net ipc uts cgroup; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup; "
              "grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid)' /proc/self/status; cat /proc/self/limits; "
              "cat /proc/self/oom_score_adj; ulimit -a; umask; pwd; env | grep -v ^_= | grep -v ^SHLVL= | sort; "
              "cat /proc/self/attr/current 2>/dev/null")
    return script_runner(script)


@pytest.mark.parametrize("opts", [[], ["--profile", "build"], ["--profile", "build", "-u", "plain"], ["-w", "/tmp", "-e", "A=of the sandbox"],
                                  ["--ulimit", "nofile=77:99", "--file-size", "5m"]],
                         ids=["strict", "build", "build-user", "words", "limits"])
def test_it_is_in_mains_place(cloister, rootfs, opts):
    ends = "grep -v nothing /dev/null; echo ready; exec sleep 1000"
    script = place(lambda s: s)
    with sandbox(cloister, rootfs, "sh", "-c", f"{{ {script}; }} >/tmp/main; {ends}", opts=opts) as room:
        main = room.exec("cat", "/tmp/main").ok().out
        mine = place(lambda s: room.shell(s).out)
    assert mine == main


@pytest.mark.parametrize("kind", ["rootfs", "host", "store"])
@pytest.mark.parametrize("profile", ["strict", "build"])
def test_any_image(cloister, rootfs, probe, kind, profile, world):
    env = {}
    image = {"rootfs": rootfs, "host": "host", "store": "exec-image"}[kind]
    if kind == "store":
        store = Store(world.directory("store", owner=cloister.identity), cloister.uid, cloister.gid)
        layers = [store.layer(lambda tree: trees.make_tree(tree, probe)), store.layer(lambda tree: (tree / "upper").write_text("of the upper\n"))]
        store.add("exec-image", layers)
        env = {"CLOISTER_STORE": str(store.path)}
    with sandbox(cloister, image, opts=["--profile", profile], env=env) as room:
        assert room.shell("echo of exec >/tmp/f; cat /tmp/f", env=env).ok().out == b"of exec\n"
        assert room.exec("cat", "/tmp/f", env=env).ok().out == b"of exec\n"
        if kind == "store":
            assert room.exec("cat", "/upper", env=env).ok().out == b"of the upper\n"
            user = "plain" if profile == "build" else "1000:1000"
            assert room.exec("id", "-u", opts=["-u", user], env=env).ok().out == b"1000\n"


def test_it_sees_and_can_signal_main(room):
    assert b"sleep 1000" in room.exec("ps").ok().out
    assert room.shell("kill -USR1 2").exit in (0, 137)  # the sandbox ends with main, maybe before it
    assert room.running.wait().exit == 128 + signal.SIGUSR1


def test_main_can_signal_it(cloister, rootfs):
    script = 'echo ready; while ! test -e /tmp/pid; do usleep 1000; done; usleep 1000; kill -KILL $(cat /tmp/pid); exec sleep 1000'
    with sandbox(cloister, rootfs, "sh", "-c", script) as room:
        assert room.shell("echo $$ >/tmp/new; mv /tmp/new /tmp/pid; exec sleep 1000").exit == 128 + 9


def test_under_a_profile_of_the_users(cloister, rootfs):
    """Which may allow hardly anything: init then counts on a list of its own."""
    names = ["execve", "read", "write", "exit", "exit_group", "brk", "mmap", "munmap", "mprotect", "arch_prctl", "set_tid_address", "readlink",
             "openat", "open", "close", "fstat", "newfstatat", "set_robust_list", "rseq", "getrandom", "prlimit64", "uname", "getuid", "geteuid",
             "nanosleep", "clock_nanosleep", "ioctl", "prctl", "getpid", "getppid", "rt_sigaction", "rt_sigprocmask", "wait4", "dup2", "fcntl",
             "vfork", "fork", "clone", "stat", "lstat", "getcwd", "readlinkat", "poll", "setuid", "setgid", "getgid", "getegid", "time", "gettimeofday",
             "setpgid", "getpgrp", "geteuid", "rt_sigreturn", "sendfile"]
    profile = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]}
    path = cloister.directory("profile") / "profile.json"
    path.write_text(json.dumps(profile))
    with sandbox(cloister, rootfs, opts=["--seccomp", str(path)]) as room:
        assert room.shell("echo fine").ok().out == b"fine\n"
        assert room.exec("mkdir", "/tmp/made").exit == 128 + signal.SIGSYS
        assert room.exec("sleep", "1000", opts=["-d"]).exit == 0
        assert room.shell("exit 7").exit == 7
        room.running.signal(signal.SIGTERM)
        assert room.running.wait().exit == 128 + signal.SIGTERM


# --- words ----------------------------------------------------------------------------------


def test_environment_directory_and_file(cloister, rootfs):
    path = cloister.directory("env") / "vars"
    path.write_text("FROM_FILE=file\nBOTH=file\n# nothing\n")
    with sandbox(cloister, rootfs, opts=["-e", "OF_RUN=run", "-e", "BOTH=run", "-w", "/srv"]) as room:
        script = 'echo "$OF_RUN $FROM_FILE $BOTH $GIVEN $CLOISTER_TEST_SECRET"; pwd'
        outcome = room.shell(script, "-e", "GIVEN=a b", "--env-file", str(path), "-e", "CLOISTER_TEST_SECRET")
        assert text(outcome.out) == "run file file a b of-the-caller-only\n/srv\n", str(outcome)
        assert room.shell('pwd; echo "<$CLOISTER_TEST_SECRET>"', "-w", "/tmp/../srv/./open").out == b"/srv/open\n<>\n"
        assert room.exec("env", opts=["-e", "BOTH="]).out.count(b"BOTH=") == 1
        room.exec("true", opts=["-w", "relative"]).refused("workdir")
        room.exec("true", opts=["-w", "/not/there"]).refused("working directory", "/not/there")
        room.exec("true", opts=["-e", "=x"]).refused("env")


def test_a_strict_sandbox_has_one_user(cloister, rootfs):
    with sandbox(cloister, rootfs) as room:
        assert room.exec("id", "-u", opts=["-u", "1000"]).ok().out == b"1000\n"
        assert room.exec("id", "-u", opts=["-u", "plain"]).ok().out == b"1000\n"
        root = room.exec("id", "-u", opts=["-u", "root"])
        assert root.exit == 0 and root.out == b"1000\n" and b"never runs as root" in root.err, str(root)
        for user in ("other", "1234", "1000:7"):
            room.exec("true", opts=["-u", user]).refused("user", "strict", "1000:1000")
        room.exec("true", opts=["-u", "nosuch"]).refused("user", "nosuch")


def test_build_has_several(cloister, rootfs):
    with sandbox(cloister, rootfs, opts=["--profile", "build"]) as room:
        script = "id -u; id -g; echo $HOME; grep -E '^Cap(Prm|Eff)' /proc/self/status"
        none = "CapPrm:\t" + "0" * 16 + "\nCapEff:\t" + "0" * 16 + "\n"
        assert text(room.shell(script, "-u", "other").ok().out) == "1234\n1235\n/\n" + none
        assert text(room.shell(script, "-u", "1000:7").ok().out).startswith("1000\n7\n")
        assert text(room.shell(script, "-u", "other", "-e", "HOME=/given").ok().out) == "1234\n1235\n/given\n" + none
        six = "CapPrm:\t00000000000000db\nCapEff:\t00000000000000db\n"
        assert text(room.shell(script).ok().out) == "0\n0\n/root\n" + six
        assert text(room.shell(script, "-u", "0").ok().out) == "0\n0\n/root\n" + six
        room.shell("touch /tmp/f && chown 7:8 /tmp/f").ok()
        assert room.exec("stat", "-c", "%u %g", "/tmp/f").ok().out == b"7 8\n"
        room.exec("true", opts=["-u", "70000"]).refused("user", "70000")


def test_roots_capabilities_are_the_sandboxs(cloister, rootfs):
    """Where the command is no root the sandbox has none, and neither has a root that comes later."""
    with sandbox(cloister, rootfs, opts=["--profile", "build", "-u", "1000"]) as room:
        outcome = room.shell("id -u; grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status", "-u", "0").ok()
        assert re.fullmatch(r"0\n(Cap...:\t0{16}\n){3}", text(outcome.out)), str(outcome)
        assert room.exec("id", "-u").ok().out == b"1000\n"


def test_a_long_line(room):
    words = ["x" * 60000, *map(str, range(500))]
    assert room.exec("probe", "args", *words).ok().out.split(b"\0")[-501:] == [*(str(n).encode() for n in range(500)), b""]
    assert len(room.exec("echo", *(["y" * 100000] * 12)).ok().out) == 1200012


# --- streams ---------------------------------------------------------------------------------


def test_megabytes_both_ways(room):
    data = os.urandom(1 << 20) * 5
    outcome = room.exec("cat", input=data)
    assert outcome.exit == 0 and outcome.out == data, (outcome.exit, len(outcome.out), outcome.err)


def test_output_and_error_are_apart(room):
    outcome = room.shell("head -c 300000 /dev/zero | tr '\\0' e >&2; head -c 400000 /dev/zero | tr '\\0' o")
    assert outcome.out == b"o" * 400000 and outcome.err == b"e" * 300000


def test_the_input_ends(room):
    with room.start("cat", opts=["-i"]) as client:
        client.send(b"first")
        client.expect(b"first")
        client.send(b" second")
        client.close_stdin()
        outcome = client.wait()
    assert outcome.exit == 0 and outcome.out == b"first second"


def test_a_reader_that_goes(room):
    argv = ["sh", "-c", '"$@" | head -c 1 | wc -c', "-", *room.argv("yes")]
    with Running(argv, env=room.cloister.environment()) as client:
        assert client.wait().out.strip() == b"1"


def test_streams_that_others_keep_open_are_not_waited_for(room):
    outcome = room.shell("head -c 200000 /dev/zero; sleep 1000 & exit 3")
    assert outcome.exit == 3 and len(outcome.out) == 200000 and outcome.seconds < patience(30)


def test_the_streams_can_be_opened_again(room):
    outcome = room.shell("echo out >/dev/stdout; echo err >/dev/stderr; cat /dev/stdin", input=b"in")
    assert outcome.exit == 0 and outcome.out == b"out\nin" and outcome.err == b"err\n", str(outcome)


def test_descriptors_are_three(room):
    outcome = room.shell("ls /proc/self/fd | wc -l; exec probe fds")
    assert outcome.exit == 0 and outcome.lines()[0] == "4", str(outcome)  # with ls's own


def test_a_terminal_is_no_input_without_i(room, terminal):
    terminal.type(b"not for the sandbox\n")
    terminal.launch(room.argv("sh", "-c", "cat; echo read-to-the-end"), room.cloister.environment())
    outcome = terminal.wait()
    assert outcome.exit == 0 and b"read-to-the-end" in outcome.out
    assert outcome.out.count(b"not for the sandbox") <= 1


# --- terminals ---------------------------------------------------------------------------------


def test_all_three_are_a_terminal_with_t(room, terminal):
    terminal.launch(room.argv("probe", "tty", opts=["-it"]), room.cloister.environment({"TERM": "vt100"}))
    outcome = terminal.wait()
    assert outcome.exit == 0 and b"1 1 1 tty 0\r\n" in outcome.out, str(outcome)
    assert terminal.settings() == terminal.before


def test_window_size_change_and_control_c(room, terminal):
    terminal.launch(room.argv("sh", "-c", "stty size; exec probe trap 7", opts=["-it"]), room.cloister.environment())
    terminal.expect(b"40 100")
    terminal.expect(b"ready")
    terminal.resize(33, 77)
    terminal.expect(b"size 33 77")
    terminal.type(b"\x03")
    outcome = terminal.wait()
    assert outcome.exit == 7 and b"got 2" in outcome.out, str(outcome)
    assert terminal.settings() == terminal.before


def test_two_terminals_are_two(room, terminal):
    with Terminal(20, 30) as other:
        for each in (terminal, other):
            each.launch(room.argv("sh", "-c", "tty; stty size; read line; echo got-$line", opts=["-it"]), room.cloister.environment())
        terminal.expect(b"40 100")
        other.expect(b"20 30")
        terminal.type(b"one\r")
        other.type(b"two\r")
        first, second = terminal.wait(), other.wait()
    assert b"got-one" in first.out and b"got-two" in second.out
    names = [re.search(rb"/dev/pts/\d+", o.out)[0] for o in (first, second)]
    assert names[0] != names[1]


def test_a_terminal_without_one_outside(room):
    outcome = room.exec("sh", "-c", "tty; cat", opts=["-t"], input=b"words\n")
    assert outcome.exit == 0 and b"/dev/pts/" in outcome.out and b"words" in outcome.out, str(outcome)


def test_a_background_child_does_not_keep_the_terminal(room, terminal):
    terminal.launch(room.argv("sh", "-c", "trap '' HUP; sleep 1000 & echo last-words; exit 4", opts=["-it"]), room.cloister.environment())
    outcome = terminal.wait()
    assert outcome.exit == 4 and b"last-words" in outcome.out


# --- signals and ends ----------------------------------------------------------------------------


def test_signals_go_to_the_command(room):
    with room.start("probe", "trap") as client:
        client.expect(b"ready")
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT):
            client.signal(number)
            client.expect(b"got %d\n" % number)
    assert alive(room.running.pid)


def test_the_third_interrupt_kills(room):
    with room.start("probe", "trap") as client:
        client.expect(b"ready")
        for _ in range(3):
            before = client.out.count(b"got 15")
            client.signal(signal.SIGTERM)
            poll(lambda: client.out.count(b"got 15") > before or client.process.poll() is not None, 20, "no signal came")
        assert client.wait().exit == 128 + 9
    room.exec("true").ok()


def test_a_client_that_is_killed_takes_its_command_along(room):
    with room.start("probe", "wait") as client:
        client.expect(b"ready")
        pid = host_pid_of(room.running, "probe")
        client.process.kill()
        poll(lambda: not alive(pid), 20, "the command outlived its client")
    room.exec("true").ok()


def test_detached_it_stays(room):
    assert room.exec("probe", "wait", opts=["-d"]).exit == 0
    pid = host_pid_of(room.running, "probe")
    room.exec("true").ok()
    assert alive(pid)
    streams = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)]
    assert streams == ["/dev/null"] * 3
    outcome = room.exec("nosuch", opts=["-d"])
    assert outcome.exit == 127 and b"not found" in outcome.err


def test_the_sandboxs_end_is_the_end(room):
    with room.start("probe", "trap") as client:
        client.expect(b"ready")
        room.cloister.call("kill", room.name).ok()
        outcome = client.wait()
    assert outcome.exit == 137 and text(outcome.err) == "cloister: the sandbox has ended\n", str(outcome)
    assert room.running.wait().exit == 137
    room.exec("true").refused("no running sandbox")


def test_mains_end_is_the_end(cloister, rootfs):
    with sandbox(cloister, rootfs, "sh", "-c", "echo ready; read line; exit 5") as room:
        with room.start("probe", "wait") as client:
            client.expect(b"ready")
            room.running.send(b"\n")
            assert client.wait().exit == 137
        assert room.running.wait().exit == 5


def test_its_end_is_not_the_sandboxs(room):
    room.shell("exit 3")
    room.shell("kill -9 $$")
    assert alive(room.running.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_while_the_supervisor_does_not_listen(room, number):
    """A client that waits can be ended, and what it leaves is swept; while it waits, nothing of it is."""
    room.running.signal(signal.SIGSTOP)
    try:
        with room.start("true") as client:
            poll(lambda: any(n.startswith("exec-") for n in room.bells()), 20, "no client rang")
            waiting = set(room.bells())
            assert {n.partition("-")[0] for n in waiting} == {"client", "exec"}
            room.cloister.call("prune").ok()
            assert set(room.bells()) == waiting
            client.signal(number)
            assert client.process.wait(20) == -number
    finally:
        room.running.signal(signal.SIGCONT)
    room.exec("true").ok()
    assert set(room.bells()) == waiting
    room.cloister.call("prune").ok()
    assert room.bells() == []


# --- many ----------------------------------------------------------------------------------------


def test_as_many_as_there_are(cloister, rootfs):
    with sandbox(cloister, rootfs) as room:
        before = room.bells()
        clients = [room.start("sh", "-c", "echo up; exec cat", opts=["-i"]) for _ in range(MOST)]
        try:
            for client in clients:
                client.expect(b"up\n")
            room.exec("true").refused(f"{MOST} commands of exec")
            for number, client in enumerate(clients):
                client.send(b"%d" % number)
                client.close_stdin()
                outcome = client.wait()
                assert outcome.exit == 0 and outcome.out == b"up\n%d" % number, str(outcome)
            room.exec("true").ok()
        finally:
            for client in clients:
                client.stop()
        assert set(room.bells()) <= set(before)


def test_two_at_once_again_and_again(room):
    failures = []
    before = room.bells()

    def work(number):
        for turn in range(15):
            outcome = room.shell(f"echo {number} {turn}; exit {turn}")
            if outcome.exit != turn or text(outcome.out) != f"{number} {turn}\n":
                failures.append(str(outcome))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures, failures[0]
    assert set(room.bells()) <= set(before)


def test_no_more_tasks(as_root, rootfs):
    """The clone's own error: of tasks that are used up."""
    with sandbox(as_root, rootfs, opts=["--pids-limit", "3"]) as room:
        with room.start("probe", "wait") as client:
            client.expect(b"ready")
            with room.start("probe", "wait") as other:
                other.expect(b"ready")
                room.exec("true").refused("clone", "--pids-limit")


def used(room):
    """What the sandbox has of memory, in bytes."""
    return json.loads(room.cloister.call("stats", "--no-stream", "--format", "json", room.name).ok().out)["memory_bytes"]


def test_out_of_memory(as_root, rootfs):
    """The command that asks for too much is killed, and nobody else: main goes on, another command of exec, and exec.

    What it had is not always free when it has ended: who reads of it in /proc holds it a moment longer. Whoever asks for a
    page meanwhile, as a shell does that says how its child ended, has the kernel kill the next one. So nobody asks."""
    script = "head -c 16000000 /dev/zero >/tmp/full; echo ready; exec sleep 1000"
    with sandbox(as_root, rootfs, "sh", "-c", script, opts=["-m", "32m"]) as room, \
            room.start("sh", "-c", "echo up; read word; echo $word", opts=["-i"]) as other:
        other.expect(b"up\n")
        for _ in range(2):
            before = used(room)
            outcome = room.exec("tail", "-c", "40000000", "/dev/zero")
            assert (outcome.exit, text(outcome.err)) == (137, "cloister: the command was ended by signal 9 (SIGKILL)\n"), str(outcome)
            poll(lambda: used(room) < before + (4 << 20), 20, lambda: f"{used(room)} bytes, and {before} before")
        other.send(b"there\n")
        assert other.wait().ok().out == b"up\nthere\n"
        assert room.exec("stat", "-c", "%s", "/tmp/full").ok().word() == "16000000"
        assert alive(room.running.pid)


def test_init_is_as_small_as_before(room):
    """Sessions leave nothing behind: descriptors and memory of init, before and after."""
    init = next(pid for pid in descendants(room.running.pid))

    def holdings():
        return sorted(target.split(":")[0] for target in descriptors(init).values())

    before = holdings()
    for _ in range(5):
        room.exec("true").ok()
        room.exec("nosuch")
        room.exec("tty", opts=["-t"])
    poll(lambda: holdings() == before, 20, lambda: f"{before} became {holdings()}")


def test_a_client_of_another_user_does_not_come_in(as_root, as_user, rootfs):
    """Nor does the name of a sandbox of root's say anything to others."""
    with sandbox(as_root, rootfs) as room:
        as_user.call("exec", room.name, "true").refused("no running sandbox")
        environment = {"XDG_RUNTIME_DIR": "/run"}
        as_user.call("exec", room.name, "true", env=environment).refused("/run/cloister")


def test_a_host_on_which_changes_of_user_can_be_traced(as_root, rootfs, world, binary):
    """fs.suid_dumpable 1, as a mount over it in a namespace of the test's own says."""
    with sandbox(as_root, rootfs, opts=["--profile", "build"]) as room:
        one = world.directory("dumpable") / "one"
        one.write_text("1\n")
        script = 'mount --bind "$0" /proc/sys/fs/suid_dumpable && exec "$@"'
        argv = ["unshare", "-m", "sh", "-c", script, str(one), *room.argv("true", opts=["-u", "1000"])]
        with Running(argv, env=as_root.environment()) as client:
            client.wait().refused("suid_dumpable")
        with Running([*argv[:6], *room.argv("true")], env=as_root.environment()) as client:
            assert client.wait().exit == 0
