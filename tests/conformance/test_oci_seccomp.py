"""linux.seccomp: actions, arguments, flags, architectures, and the listener. config-linux.md's section on it."""

import fcntl
import json
import os
import select
import struct
import threading

import pytest

from lib import oci_seccomp
from lib.oci_console import Listener, receive_descriptors
from lib.oci_seccomp import ALLOW, ERRNO, argument, rule
from lib.patience import patience

NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
SIGSYS, ENOSYS, EXDEV = 31, 38, 18
TRY = "mkdir /tmp/x 2>&1; echo went on"
AT_FDCWD = 0xFFFFFF9C  # as the low 32 bits of an argument


def mkdir(action, **more):
    """Both calls by which a program makes a directory."""
    return rule("mkdir mkdirat", action, **more)


# actions

@pytest.mark.parametrize("number, words", [(None, "Operation not permitted"), (13, "Permission denied"), (ENOSYS, "Function not implemented"), (28, "No space left"), (0, "")])
def test_an_errno(anyone, number, words):
    """EPERM by default; 0 is an answer too: nothing was done, and nothing is told."""
    bundle = anyone.bundle().sh(TRY + "; test -d /tmp/x && echo made").seccomp(mkdir(ERRNO, errno=number))
    lines = anyone.run(bundle).lines()
    assert "went on" in lines and "made" not in lines and (not words or words in lines[0]), lines


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"])
def test_an_action_that_kills(anyone, action):
    bundle = anyone.bundle().sh("mkdir /tmp/x; echo status $?").seccomp(mkdir(action))
    assert anyone.run(bundle).lines()[-1] == f"status {128 + SIGSYS}"


@pytest.mark.parametrize("action", ["SCMP_ACT_LOG", "SCMP_ACT_ALLOW"])
def test_an_action_that_lets_it_be(anyone, action):
    bundle = anyone.bundle().sh("mkdir /dev/shm/x && echo made").seccomp(mkdir(action), defaultAction=ALLOW)
    if action == ALLOW:
        bundle.linux["seccomp"] = oci_seccomp.docker_profile()
    assert anyone.output(bundle) == "made\n"


def test_trace_without_a_tracer_is_enosys(anyone):
    bundle = anyone.bundle().sh(TRY).seccomp(mkdir("SCMP_ACT_TRACE", errno=77))
    assert "Function not implemented" in anyone.run(bundle).lines()[0]


def test_the_default_action_is_for_all_others(anyone):
    """Docker's list: what it doesn't have is refused, with EPERM."""
    bundle = anyone.bundle().sh("unshare -n true 2>&1; hostname x 2>&1; swapoff /x 2>&1; echo fine")
    lines = anyone.run(bundle).lines()
    assert all("not permitted" in line for line in lines[:3]) and lines[3] == "fine", lines


@pytest.mark.parametrize("default", [{"defaultErrnoRet": ENOSYS}, {}], ids=str)
def test_the_errno_of_the_default(anyone, default):
    profile = oci_seccomp.docker_profile()
    profile["syscalls"] = [each if each["names"][0] != "access" else {**each, "names": [name for name in each["names"] if name not in ("mkdir", "mkdirat")]}
                           for each in profile["syscalls"]]
    bundle = anyone.bundle().sh(TRY)
    bundle.linux["seccomp"] = {**profile, **default}
    assert ("Function not implemented" if default else "not permitted") in anyone.run(bundle).lines()[0]


def test_a_filter_is_there(anyone, waiting):
    container = waiting(anyone, anyone.bundle())
    assert container.status_field("Seccomp") == "2"
    assert waiting(anyone, anyone.bundle().remove("linux.seccomp")).status_field("Seccomp") == "0"


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_the_filter_is_on_whether_privileges_can_grow_or_not(anyone, no_new_privileges):
    bundle = anyone.bundle().set("process.noNewPrivileges", no_new_privileges).sh(TRY).seccomp(mkdir(ERRNO))
    assert "not permitted" in anyone.run(bundle).lines()[0]


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_what_the_runtime_needs_itself_may_be_closed(anyone, no_new_privileges):
    """The filter is the program's. Only where privileges may grow it has to come before they are dropped, which takes some calls."""
    closed = "mount umount2 pivot_root setns unshare chroot sethostname mknod mknodat mount_setattr move_mount"
    if no_new_privileges:
        closed += " capset setgroups setuid setgid setresuid setresgid prctl"
    bundle = anyone.bundle().set("process.noNewPrivileges", no_new_privileges).args("true").seccomp(rule(closed, ERRNO))
    assert anyone.run(bundle).exit == 0


def test_names_that_nobody_knows_are_ignored(anyone):
    bundle = anyone.bundle().sh("echo fine").seccomp(rule("a_call_of_the_future mkdir", ERRNO), rule("another_one", ALLOW))
    assert anyone.output(bundle) == "fine\n"


# arguments

MODE = 0o700
COMPARE = [("SCMP_CMP_EQ", MODE, None, True), ("SCMP_CMP_EQ", 0o755, None, False), ("SCMP_CMP_NE", 0o755, None, True), ("SCMP_CMP_NE", MODE, None, False),
           ("SCMP_CMP_LT", MODE + 1, None, True), ("SCMP_CMP_LT", MODE, None, False), ("SCMP_CMP_LE", MODE, None, True), ("SCMP_CMP_LE", MODE - 1, None, False),
           ("SCMP_CMP_GT", MODE - 1, None, True), ("SCMP_CMP_GT", MODE, None, False), ("SCMP_CMP_GE", MODE, None, True), ("SCMP_CMP_GE", MODE + 1, None, False),
           ("SCMP_CMP_MASKED_EQ", 0o700, 0o700, True), ("SCMP_CMP_MASKED_EQ", 0o077, 0, True), ("SCMP_CMP_MASKED_EQ", 0o700, 0o100, False)]


@pytest.mark.parametrize("op, value, second, refused", COMPARE)
def test_arguments(anyone, op, value, second, refused):
    """Of chmod(PATH, 0700) and fchmodat(AT_FDCWD, PATH, 0700): for SCMP_CMP_MASKED_EQ, value is the mask and valueTwo what has to be left."""
    rules = [rule(name, ERRNO, args=[argument(index, value, op, second)]) for name, index in (("chmod", 1), ("fchmodat", 2))]
    bundle = anyone.bundle().sh("chmod 700 /dev/shm 2>&1 && echo done").seccomp(*rules)
    assert ("not permitted" in anyone.run(bundle).lines()[0]) == refused


def test_several_arguments_hold_together(anyone):
    """All of a rule's; and of two rules either."""
    def refused(*rules):
        outcome = anyone.run(anyone.bundle().sh("chmod 700 /dev/shm 2>&1; echo x").seccomp(*rules))
        return "not permitted" in outcome.lines()[0]
    both = [argument(0, AT_FDCWD, "SCMP_CMP_MASKED_EQ", AT_FDCWD), argument(2, 0o700)]
    wrong = [argument(0, AT_FDCWD, "SCMP_CMP_MASKED_EQ", AT_FDCWD), argument(2, 0o755)]
    assert refused(rule("fchmodat", ERRNO, args=both), rule("chmod", ERRNO, args=[argument(1, 0o700)]))
    assert not refused(rule("fchmodat", ERRNO, args=wrong), rule("chmod", ERRNO, args=[argument(1, 0o755)]))
    assert refused(rule("fchmodat", ERRNO, args=wrong), rule("fchmodat", ERRNO, args=both), rule("chmod", ERRNO, args=[argument(1, 0o700)]))


def test_two_tests_of_one_argument(anyone):
    """Docker's own lists have them, as either: libseccomp can't have two of one argument in a rule."""
    rules = [rule(name, ERRNO, args=[argument(index, 0o755), argument(index, 0o700)]) for name, index in (("chmod", 1), ("fchmodat", 2))]
    assert "not permitted" in anyone.run(anyone.bundle().sh("chmod 700 /dev/shm 2>&1; echo x").seccomp(*rules)).lines()[0]


def test_a_value_of_64_bits(anyone):
    bundle = anyone.bundle().sh("echo fine").seccomp(rule("read", ERRNO, args=[argument(2, 0xFFFFFFFFFFFFFFFF)]), rule("lseek", ERRNO, args=[argument(1, 1 << 63)]))
    assert anyone.output(bundle) == "fine\n"


# flags, architectures

@pytest.mark.parametrize("flags", [["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"], ["SECCOMP_FILTER_FLAG_TSYNC"], [],
                                   ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]], ids=str)
def test_flags(anyone, flags):
    bundle = anyone.bundle().sh(TRY).seccomp(mkdir(ERRNO), flags=flags)
    assert "not permitted" in anyone.run(bundle).lines()[0]


def test_the_flag_against_speculation(runtime, waiting):
    """SPEC_ALLOW leaves the mitigation off, which /proc tells."""
    field = "Speculation_Store_Bypass"
    plain = waiting(runtime, runtime.bundle().seccomp(mkdir(ERRNO))).status_field(field)
    allowed = waiting(runtime, runtime.bundle().seccomp(mkdir(ERRNO), flags=["SECCOMP_FILTER_FLAG_SPEC_ALLOW"])).status_field(field)
    assert "force" not in allowed or plain == allowed, (plain, allowed)


def test_architectures_of_others_are_taken(anyone):
    bundle = anyone.bundle().sh(TRY).seccomp(mkdir(ERRNO), architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64"])
    assert "not permitted" in anyone.run(bundle).lines()[0]


@pytest.mark.parametrize("architectures", [[], None], ids=str)
def test_without_architectures_it_is_the_machines(anyone, architectures):
    bundle = anyone.bundle().sh(TRY).seccomp(mkdir(ERRNO))
    bundle.linux["seccomp"]["architectures"] = architectures
    if architectures is None:
        bundle.remove("linux.seccomp.architectures")
    assert "not permitted" in anyone.run(bundle).lines()[0]


# the listener

class Agent:
    """Answers what containers ask: every notification gets the errno, or goes on."""

    def __init__(self, descriptor, error=EXDEV):
        self.descriptor, self.error, self.asked = descriptor, error, []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            poller = select.poll()
            poller.register(self.descriptor, select.POLLIN)
            events = poller.poll(patience(20) * 1000)
            if not events or not events[0][1] & select.POLLIN:
                return  # POLLHUP: nobody has the filter
            data = bytearray(80)
            try:
                fcntl.ioctl(self.descriptor, NOTIF_RECV, data, True)
                identifier, pid, _, number = struct.unpack_from("QIIi", data)
                self.asked.append((number, pid))
                fcntl.ioctl(self.descriptor, NOTIF_SEND, bytearray(struct.pack("QqiI", identifier, 0, -self.error if self.error else 0, 0 if self.error else 1)), True)
            except OSError:
                continue  # the asking process is gone

    def close(self):
        self.thread.join(patience(25))
        os.close(self.descriptor)


@pytest.fixture
def listener(anyone):
    with Listener(anyone.directory("agent") / "socket", owner=(anyone.uid, anyone.gid)) as made:
        yield made


def received(listener):
    """The state and the descriptors of the one connection, to its end."""
    with listener.accept() as connection:
        data, descriptors = receive_descriptors(connection)
        while more := connection.recv(1 << 16):
            data += more
    return json.loads(data), descriptors


def test_a_listener_gets_the_descriptor_and_the_state(anyone, listener):
    bundle = anyone.bundle().sh(TRY).annotate(org_example="value").seccomp(mkdir("SCMP_ACT_NOTIFY"), listenerPath=listener.path, listenerMetadata="some metadata")
    result = {}
    taker = threading.Thread(target=lambda: result.update(zip(("state", "descriptors"), received(listener))), daemon=True)
    taker.start()
    container = anyone.create(bundle)
    container.start()
    taker.join(patience(20))
    state, (descriptor,) = result["state"], result["descriptors"]
    agent = Agent(descriptor)
    try:
        assert container.wait() == 0
        assert b"cross-device" in container.out.lower() and b"went on" in container.out, container.out
        assert len(agent.asked) == 1
    finally:
        agent.close()
    assert state["fds"] == ["seccompFd"] and state["pid"] == container.pid and state["metadata"] == "some metadata" and state["ociVersion"]
    inner = state["state"]
    assert inner["id"] == container.id and inner["bundle"] == str(bundle.directory) and inner["annotations"] == {"org.example": "value"}
    assert inner["status"] in ("creating", "created", "running") and inner["pid"] == container.pid


def test_an_agent_that_lets_it_go_on(anyone, listener):
    bundle = anyone.bundle().sh("mkdir /dev/shm/x && echo made").seccomp(mkdir("SCMP_ACT_NOTIFY"), listenerPath=listener.path)
    result = []
    taker = threading.Thread(target=lambda: result.append(received(listener)), daemon=True)
    taker.start()
    container = anyone.create(bundle)
    container.start()
    taker.join(patience(20))
    agent = Agent(result[0][1][0], error=0)
    try:
        assert container.wait() == 0 and container.out == b"made\n"
    finally:
        agent.close()
    assert result[0][0].get("metadata") in (None, "")


def test_a_listener_that_is_not_needed_is_left_alone(anyone, listener):
    """If the SCMP_ACT_NOTIFY action is not used this value is ignored."""
    bundle = anyone.bundle().sh("echo fine").seccomp(mkdir(ERRNO), listenerPath=listener.path)
    assert anyone.output(bundle) == "fine\n" and listener.waits()


@pytest.mark.parametrize("case", ["gone", "absent", "relative"])
def test_listeners_that_do_not_answer(anyone, case, nothing_left):
    """If sending to this socket fails, the runtime MUST generate an error."""
    more = {} if case == "absent" else {"listenerPath": "/no/such/socket" if case == "gone" else "socket"}
    outcome = anyone.run(anyone.bundle().seccomp(mkdir("SCMP_ACT_NOTIFY"), **more))
    anyone.refused(outcome, "no such file|listener|refused|seccomp", field="linux.seccomp.listenerPath")
    nothing_left([anyone])


def test_metadata_without_a_listener(anyone):
    """MUST NOT be set if listenerPath is not set."""
    anyone.rejects(anyone.bundle().seccomp(mkdir(ERRNO), listenerMetadata="x"), field="linux.seccomp.listenerMetadata")


# profiles that are none

@pytest.mark.parametrize("change, field", [
    ({"defaultAction": "SCMP_ACT_NOSUCH"}, "defaultAction"), ({"defaultAction": None}, "defaultAction"), ({"defaultAction": "SCMP_ACT_NOTIFY"}, "listenerPath"),
    ({"architectures": ["SCMP_ARCH_NOSUCH"]}, "architectures[0]"), ({"architectures": "SCMP_ARCH_X86"}, "architectures"),
    ({"flags": ["SECCOMP_FILTER_FLAG_NOSUCH"]}, "flags[0]"), ({"syscalls": [{"names": [], "action": ERRNO}]}, "syscalls[0].names"),
    ({"syscalls": [{"action": ERRNO}]}, "syscalls[0].names"), ({"syscalls": [{"names": ["mkdir"]}]}, "syscalls[0].action"),
    ({"syscalls": [{"names": ["mkdir"], "action": "kill"}]}, "syscalls[0].action"), ({"syscalls": [{"names": "mkdir", "action": ERRNO}]}, "syscalls[0].names"),
    ({"syscalls": [rule("mkdir", ERRNO, args=[argument(6, 0)])]}, "syscalls[0].args[0].index"), ({"syscalls": [rule("mkdir", ERRNO, args=[argument(0, 0, "EQ")])]}, "syscalls[0].args[0].op"),
    ({"syscalls": [rule("mkdir", ERRNO, args=[argument(0, "0")])]}, "syscalls[0].args[0].value"), ({"syscalls": [rule("mkdir", ERRNO, args=[argument(0, -1)])]}, "syscalls[0].args[0].value"),
    ({"syscalls": [rule("mkdir", ERRNO, args=[argument(0, 1 << 64)])]}, "syscalls[0].args[0].value"),
    ({"syscalls": [rule("mkdir", "SCMP_ACT_KILL", errno=5)]}, "syscalls[0].action"), ({"syscalls": [rule("mkdir", ERRNO, errno=-1)]}, "syscalls[0].errnoRet"),
    ({"syscalls": [rule("mkdir", ERRNO, errno=70000)]}, "syscalls[0].errnoRet"), ({"syscalls": {"names": ["mkdir"]}}, "syscalls"),
    ({"defaultAction": ALLOW, "defaultErrnoRet": 5}, "defaultAction")], ids=lambda value: str(value)[:100])
def test_profiles_that_are_none(runtime, change, field, nothing_left):
    """When the action doesn't support an errno, the runtime MUST print an error and fail; names MUST contain at least one entry."""
    profile = {**oci_seccomp.everything_but(mkdir(ERRNO)), **change}
    bundle = runtime.bundle()
    bundle.linux["seccomp"] = {key: value for key, value in profile.items() if value is not None}
    runtime.rejects(bundle, field=f"linux.seccomp.{field}")
    nothing_left([runtime])


def test_the_same_profile_again(runtime):
    """Compiled once and kept, or not: what comes of it is the same, and another profile is another."""
    first, second = mkdir(ERRNO), mkdir(ERRNO, errno=13)
    found = [runtime.run(runtime.bundle().sh(TRY).seccomp(each)).lines()[0] for each in (first, second, first, second, first)]
    assert ["not permitted" in line for line in found] == [True, False, True, False, True]
    assert ["Permission denied" in line for line in found] == [False, True, False, True, False]


@pytest.mark.parametrize("bound", [False, True], ids=["", "no-new-privs"])
@pytest.mark.parametrize("name", ["strict", "build"])
def test_an_annotation_raises_a_filter_over_the_profile(anyone, waiting, name, bound):
    """run.cloister.seccomp: both hold, for what exec brings as well."""
    bundle = anyone.bundle().annotate(run_cloister_seccomp=name)
    bundle.process["noNewPrivileges"] = bound
    container = waiting(anyone, bundle)
    assert container.status_field("Seccomp_filters") == "2"
    outcome = container.exec("grep", "Seccomp_filters", "/proc/self/status")
    assert outcome.ok().out.split() == [b"Seccomp_filters:", b"2"]
