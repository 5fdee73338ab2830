"""Each system call and each allocation of a run is failed once: a clear error, nothing left.

Where the code rightly does without the call, the run is the same as if nothing had
failed: same output, same layers, same limits. Anything else is a bug: a hang, a crash,
an end that no message explains, a layer or a limit that is missing in silence.
"""

import errno
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lib.faults import SAID, TIMEOUT, Case, Faults, syscall_numbers
from lib.orphans import reap_orphans
from lib.runner import Cloister, text
from lib.world import find_binary

EIO, EINTR, ENOMEM, EPERM, ENOSPC = errno.EIO, errno.EINTR, errno.ENOMEM, errno.EPERM, errno.ENOSPC
pytestmark = pytest.mark.usefixtures("orphans_come_to_us")
STRIDE = 4  # one walk is so many tests, for the workers to share

VOLUMES = ("-v", "{source}:/src", "-v", "{source}:/mine:rw", "-v", "{source}:/copied:copy", "--tmpfs", "/scratch:size=1m",
           "--shm-size", "1m", "-w", "/srv/work", "--name", "faulty", "-e", "A=b")
GIVEN = ("--env-file", "{env}", "--seccomp", "{profile}", "-v", "{file}:/srv/work/given", "-u", "plain", "--die-with-parent")
CASES = (
    Case("plain", "rootfs", errors=(EIO,)),
    Case("interrupted", "rootfs", errors=(EINTR,)),
    Case("host", "host", errors=(ENOMEM, EPERM)),
    Case("volumes", "rootfs", VOLUMES, errors=(EIO, ENOSPC)),
    Case("build", "rootfs", ("--profile", "build"), errors=(EPERM, EIO)),
    Case("given", "rootfs", GIVEN, errors=(EIO, ENOMEM)),
    Case("terminal", "rootfs", ("-t",), errors=(ENOMEM,)),  # EIO is how a terminal says that it ended
    Case("disk", "rootfs", ("-m", "64m", "--disk", "256m", "--cpus", "1.5"), errors=(EIO, ENOSPC), identities=("root",)),
    Case("layers", "store", ("-v", "{source}:/new"), errors=(EIO, ENOMEM)),
    Case("layers-named", "store", ("-u", "plain"), errors=(EIO,), identities=("root",)),
    Case("policy", "rootfs", ("--policy", "{policy}"), errors=(ENOMEM, EIO)),
)
BY_NAME = {case.name: case for case in CASES}
each_case = pytest.mark.parametrize("who_and_case", [(who, case) for case in CASES for who in case.identities],
                                    ids=lambda pair: "-".join(map(str, pair)))


@pytest.fixture(scope="module")
def weak(world):
    path = find_binary(world, "cloister-weak")
    assert path is not None, "build/bin/cloister-weak is missing: tools/build.sh weak"
    return path


@pytest.fixture(scope="module")
def source(world):
    """A directory that a sandbox of either identity may write to."""
    return world.directory("source", owner="user")


@pytest.fixture(params=["root", "user"])
def faulty(request, world, weak):
    """cloister-weak as root and as the ordinary user: it has the shims."""
    return Cloister(world, weak, request.param)


@pytest.fixture
def faults(world, weak, rootfs, source, leaks, who_and_case):
    identity, case = who_and_case
    return Faults(Cloister(world, weak, identity), case, rootfs, source, leaks)


def walk(faults, side, what, first=1, stride=1):
    complaints = faults.walk(side, what, first, stride)
    assert not complaints, f"{len(complaints)} complaints about {faults.command()}\n" + "\n".join(complaints)


@pytest.mark.parametrize("first", range(1, STRIDE + 1))
@each_case
@pytest.mark.parametrize("side", ["self", "children"])
def test_each_system_call_fails(faults, side, first):
    walk(faults, side, "syscall", first, STRIDE)


@each_case
def test_each_allocation_fails(faults):
    walk(faults, "self", "alloc")


@each_case
def test_nothing_is_allocated_after_the_clone(faults):
    """Init has no heap that it could trust: it is born in the middle of whatever its parent did."""
    faults.run("children:alloc:1").ok()
    assert faults.struck() is None


# --- hosts that lack something --------------------------------------------------------

BUILD = ("--profile", "build")   # the whole root copy-on-write: always an overlay
NO_SUCH = "Function not implemented"
PROFILE = "PREFIX/share/cloister/apparmor.d/cloister"  # as make install has it: test_install.py


@dataclass(frozen=True)
class Host:
    """A host whose kernel refuses a system call, each time that it is made."""

    call: str
    code: int
    needles: tuple            # what the message has to name
    layer: str = None         # the layer whose absence a flag accepts
    opts: tuple = ()
    image: str = None         # instead of the tree

    def __str__(self):
        return f"{self.call}-{errno.errorcode[self.code]}{'-'.join(self.opts[:1])}"


HOSTS = (
    Host("clone3", EPERM, ("user namespaces", "cloister doctor", rf"profile {PROFILE},", "apparmor_restrict_unprivileged_userns")),
    Host("clone3", EPERM, ("user namespaces", "cloister doctor"), opts=("-v", "{source}:/src")),
    Host("clone3", ENOSPC, ("namespaces", "max_user_namespaces")),
    Host("clone3", errno.EINVAL, ("namespaces", "Invalid argument")),
    Host("clone3", errno.ENOSYS, ("namespaces", NO_SUCH)),
    Host("statfs", errno.ENOENT, ("no cgroups", "--without limits"), layer="limits"),
    Host("landlock_create_ruleset", errno.ENOSYS, ("no Landlock", "--without landlock"), layer="landlock"),
    Host("landlock_create_ruleset", errno.EOPNOTSUPP, ("no Landlock", "lsm=", "--without landlock"), layer="landlock"),
    Host("seccomp", errno.EINVAL, ("filter", "Invalid argument")),
    Host("seccomp", errno.ENOSYS, ("filter", NO_SUCH)),
    Host("mount_setattr", errno.ENOSYS, (r"mount (at|of) /", NO_SUCH)),
    Host("open_tree", errno.ENOSYS, ("mount at /", NO_SUCH)),
    Host("move_mount", errno.ENOSYS, ("attach", NO_SUCH)),
    Host("fsopen", errno.ENOSYS, ("file system type", NO_SUCH)),
    Host("fsconfig", errno.ENOSYS, ("of (tmpfs|proc)", NO_SUCH)),
    Host("fsmount", errno.ENOSYS, ("mount the file system", NO_SUCH)),
    Host("openat2", errno.ENOSYS, (NO_SUCH,)),
    Host("close_range", errno.ENOSYS, ("descriptors", NO_SUCH)),
    Host("statx", errno.ENOSYS, (NO_SUCH,)),
    Host("pivot_root", errno.EINVAL, ("pivot_root", "Invalid argument"), image="host"),  # root's rootfs needs none: test_bare.py
    Host("unshare", errno.EINVAL, ("(cgroup|network) namespace", "Invalid argument")),  # the second where a processor is idle
    Host("pidfd_open", errno.ENOSYS, ("parent", NO_SUCH), opts=("--die-with-parent",)),
)


def lacks(call, code, at=0):
    return f"lacks:{syscall_numbers()[call]}{f'#{at}' if at else ''}={code}"


def run_lacking(faulty, image, fault, *command, opts=()):
    return faulty.run(image, *(command or ("echo", SAID)), opts=opts, env={"CLOISTER_FAULT": fault}, timeout=TIMEOUT)


@pytest.mark.parametrize("host", HOSTS, ids=str)
def test_what_the_host_lacks_is_named(faulty, rootfs, source, nothing_left, host):
    if host.layer in faulty.without:
        return  # who goes without the layer does not miss the call
    opts = [opt.format(source=source) for opt in host.opts]
    hidden = ("seccomp filter hides", ) if host.code == errno.ENOSYS and not host.layer else ()
    outcome = run_lacking(faulty, host.image or rootfs, lacks(host.call, host.code), opts=opts).refused(*host.needles, *hidden)
    assert outcome.result is None or outcome.result["status"] == "error"


@pytest.mark.parametrize("host", [host for host in HOSTS if host.layer], ids=str)
def test_the_flag_that_is_named_accepts_it(faulty, rootfs, nothing_left, host):
    opts = [] if host.layer in faulty.without else ["--without", host.layer]
    everything = run_lacking(faulty, rootfs, None).ok().result["layers"]
    outcome = run_lacking(faulty, rootfs, lacks(host.call, host.code), opts=opts).ok()
    assert outcome.lines() == [SAID]
    assert set(outcome.result["layers"]) == set(everything) - {host.layer}, f"{outcome}"


@pytest.mark.parametrize("opts", [(), BUILD, ("-v", "{source}:/copied:copy", "--shm-size", "1m")], ids=["plain", "build", "copy"])
def test_a_file_system_that_the_kernel_lacks_is_named(faulty, rootfs, source, nothing_left, opts):
    """ENODEV from each fsopen in turn: no tmpfs, no proc, no devpts, no overlay."""
    named = set()
    for at in range(1, 20):
        outcome = run_lacking(faulty, rootfs, lacks("fsopen", errno.ENODEV, at), opts=[o.format(source=source) for o in opts])
        if outcome.exit == 0:
            break
        named.add(re.search(r"\b(tmpfs|proc|devpts|overlay|ext4)\b", text(outcome.refused("No such device").err)).group(1))
        assert ("modprobe overlay" in text(outcome.err)) == ("type overlay" in text(outcome.err)), f"{outcome}"
    named.discard("ext4")  # before Linux 6.6 root's copy-on-write has its scratch on disk
    assert named == {"tmpfs", "proc", "devpts"} | ({"overlay"} if opts else set())


@pytest.mark.parametrize("opts", [(), BUILD], ids=["strict", "build"])
def test_a_kernel_without_overlay_is_enough_as_its_error_says(faulty, rootfs, source, nothing_left, opts):
    """No fsopen but those of tmpfs, proc and devpts."""
    opts = [*opts, "--read-only", "-w", "/tmp", "-v", f"{source}:/srv/open:rw"]
    run_lacking(faulty, rootfs, lacks("fsopen", errno.ENODEV, 4), opts=opts).ok()
    run_lacking(faulty, rootfs, lacks("fsopen", errno.ENODEV, 3), opts=opts).refused("devpts")


def test_an_error_that_nobody_knows_has_its_number(faulty, rootfs, nothing_left):
    """524 is ENOTSUPP, which the kernel keeps to itself, as a rule."""
    run_lacking(faulty, rootfs, lacks("move_mount", 524)).refused("attach.*: error 524")


def test_a_kernel_without_keyrings_has_none_to_hide(faulty, rootfs, nothing_left):
    """Nothing is lacking there, but the record does not claim the layer either."""
    outcome = run_lacking(faulty, rootfs, lacks("keyctl", errno.ENOSYS)).ok()
    assert "keyring" not in outcome.result["layers"]


def test_a_forbidden_keyring_is_an_error(faulty, rootfs, nothing_left):
    """The kernel has keyrings, and something keeps us from a new one: the caller's would stay."""
    run_lacking(faulty, rootfs, lacks("keyctl", EPERM)).refused("keyring", "Operation not permitted")


def test_the_end_needs_no_pidfd_signal(faulty, rootfs, nothing_left):
    """What ends a sandbox must not depend on one call alone."""
    outcome = run_lacking(faulty, rootfs, lacks("pidfd_send_signal", errno.ENOSYS), "sh", "-c", "trap '' TERM; sleep 60",
                          opts=["--timeout", "100ms", "--stop-grace", "100ms"])
    outcome.ended("timeout", 124)


def test_lost_output_is_no_success(faulty, rootfs, nothing_left):
    """The caller's disk is full: nobody could tell from status 0."""
    with open("/dev/full", "wb") as full:
        outcome = faulty.run(rootfs, "echo", SAID, stdout=full, timeout=TIMEOUT)
    outcome.refused("standard output", "No space left on device")
    assert outcome.result["status"] == "error"


def test_doctor_says_what_a_run_would_say(faulty):
    """Ahead of time, for each layer that a flag accepts to be without."""
    for host in HOSTS:
        if host.layer in ("landlock", "limits"):
            outcome = faulty.call("doctor", env={"CLOISTER_FAULT": lacks(host.call, host.code)}, timeout=TIMEOUT)
            assert f"--without {host.layer}" in text(outcome.out), f"{host}\n{outcome}"


def test_doctor_says_where_the_profile_for_user_namespaces_lies(faulty):
    """On a host that restricts them by AppArmor."""
    restricted = "mount -t tmpfs none /proc/sys/kernel && echo 1 >/proc/sys/kernel/apparmor_restrict_unprivileged_userns && exec \"$@\""
    done = subprocess.run(["unshare", "-m", "sh", "-c", restricted, "restricted", *faulty.argv("doctor")], capture_output=True,
                          text=True, timeout=TIMEOUT, env=faulty.environment({"CLOISTER_FAULT": lacks("unshare", EPERM)}))
    assert done.returncode == 1 and f"\nuser namespaces: as root: apparmor_parser -r {PROFILE}, or sysctl" in done.stdout, done


def test_a_removal_that_is_killed_can_be_done_again(faulty, rootfs, nothing_left):
    """At each of its calls. As long as there is anything of it, it is listed."""
    outcome, number = None, 0
    while outcome is None or outcome.exit != 0:
        number += 1
        box = faulty.detach(rootfs, "echo", SAID, opts=["--name", "kept"]).ok().word()
        faulty.call("wait", box).ok()
        place = faulty.kept() / box
        for more in range(8):  # which of them the file system lists first is its own affair
            (place / f"log.{more}").touch()
        outcome = faulty.call("rm", box, env={"CLOISTER_FAULT": f"self:dies:{number}"}, timeout=TIMEOUT)
        assert outcome.exit in (0, -signal.SIGKILL), str(outcome)
        listed = box in faulty.call("ps", "-aq").ok().lines()
        assert listed == (place.exists() and os.listdir(place) != []), (number, listed, place.exists() and os.listdir(place))
        if place.exists():
            faulty.call("rm", box).ok()
        assert not place.exists()
    assert number > 10
    reap_orphans()  # the supervisors, which are nobody else's here


# --- the same error paths under the sanitizers ---------------------------------------

@pytest.fixture(scope="module")
def sanitised_binary(world):
    """A copy with its helper, where the ordinary user can start it too."""
    built = Path(__file__).resolve().parents[2] / "build/bin/asan"
    assert (built / "cloister").exists(), "build/bin/asan/cloister is missing: tools/build.sh asan"
    return Path(shutil.copytree(built, world.directory("asan") / "bin")) / "cloister"


@pytest.fixture(params=["root", "user"])
def sanitised(request, world, sanitised_binary, rootfs, source, leaks):
    faults = Faults(Cloister(world, sanitised_binary, request.param), BY_NAME["volumes"], rootfs, source, leaks)
    faults.sanitised = True
    return faults


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("side", ["self", "children"])
def test_the_error_paths_under_the_sanitizers(sanitised, side, first):
    """A twice freed, lost or overrun buffer ends the program with a report and a status of its own."""
    walk(sanitised, side, "syscall", first, 2 if side == "self" else 6)


def test_the_error_paths_of_memory_under_the_sanitizers(sanitised):
    walk(sanitised, "self", "alloc")
