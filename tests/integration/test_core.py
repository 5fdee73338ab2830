"""A crash inside reaches nobody outside: the host's core_pattern, and limits that can't be raised.

core_pattern is the whole host's, so that a file stands in for it, in a mount namespace of the
command's own: Cloister reads it, the kernel doesn't.
"""

import ctypes
import os
import re
import resource

import pytest

from lib.runner import text

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18
PR_CAPBSET_DROP, CAP_SYS_RESOURCE = 24, 24
SOME = 1 << 20
PIPE, SOCKET, FILE = "|/usr/bin/handler %P\n", "@/run/handler.socket\n", "core\n"
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), function.__name__)


def named(value):
    return str(value).split()[0].strip("|@")


@pytest.fixture
def host(world):
    """A function: what starts a command on a host with PATTERN and the hard limit HARD, which nobody raises."""
    def prepared(pattern, hard):
        file = world.directory("pattern") / "core_pattern"
        file.write_text(pattern)
        file.chmod(0o644)
        whole = world.directory("proc")
        if hard > resource.getrlimit(resource.RLIMIT_CORE)[1] >= 0:
            pytest.skip("the hard limit on core dumps was lowered, and root lacks CAP_SYS_RESOURCE")

        def before():
            call(LIBC.unshare, CLONE_NEWNS)
            call(LIBC.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
            # a whole one: who has none may mount none
            call(LIBC.mount, b"proc", os.fsencode(whole), b"proc", 0, None)
            call(LIBC.mount, os.fsencode(file), b"/proc/sys/kernel/core_pattern", None, MS_BIND, None)
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
            call(LIBC.prctl, PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0)

        return before

    return prepared


def core_limits(outcome):
    return re.search(r"^Max core file size +(\S+) +(\S+)", text(outcome.out), re.MULTILINE).groups()


@pytest.mark.parametrize("pattern,hard", [(FILE, 0), (FILE, SOME), (PIPE, 1), (PIPE, SOME)], ids=named)
def test_a_crash_stays_inside(cloister, rootfs, host, pattern, hard):
    outcome = cloister.run(rootfs, "cat", "/proc/self/limits", preexec_fn=host(pattern, hard)).ok()
    limit = "0" if hard == 0 else "1"  # no file for either; no program for 1
    assert core_limits(outcome) == (limit, limit)
    assert "core-limit" in outcome.result["layers"]


REFUSED = [(PIPE, 0, "hard limit on core dumps is 0"), (SOCKET, 0, "socket"), (SOCKET, SOME, "socket")]


@pytest.mark.parametrize("pattern,hard,why", REFUSED, ids=named)
def test_a_host_that_gets_each_crash_is_refused(cloister, rootfs, host, pattern, hard, why):
    cloister.run(rootfs, "true", preexec_fn=host(pattern, hard)).refused(why, "kernel.core_pattern", "--without core-limit")


@pytest.mark.parametrize("pattern,hard,why", REFUSED, ids=named)
def test_or_accepted(cloister, rootfs, host, pattern, hard, why):
    outcome = cloister.run(rootfs, "cat", "/proc/self/limits", opts=["--without", "core-limit"], preexec_fn=host(pattern, hard)).ok()
    limit = "0" if hard == 0 else "1"  # set all the same, where it can be
    assert core_limits(outcome) == (limit, limit)
    assert "core-limit" not in outcome.result["layers"]
    assert "core-limit" in outcome.result["without"]


@pytest.mark.parametrize("pattern,hard,why", REFUSED, ids=named)
def test_doctor_says_so_ahead(cloister, host, pattern, hard, why):
    said = text(cloister.call("doctor", preexec_fn=host(pattern, hard)).out)
    assert re.search(rf"core dumps +missing +.*{why}", said), said
    assert "--without core-limit" in said


def test_root_raises_a_hard_limit_of_none(as_root, rootfs):
    """sudo sets it to 0 as it comes; only the host's root may raise it, so that it happens before the clone."""
    def before():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    effective = next(line for line in open("/proc/self/status", encoding="ascii") if line.startswith("CapEff"))
    if not int(effective.split()[1], 16) >> CAP_SYS_RESOURCE & 1:
        pytest.skip("root lacks CAP_SYS_RESOURCE here")
    assert core_limits(as_root.run(rootfs, "cat", "/proc/self/limits", preexec_fn=before).ok()) == ("1", "1")
