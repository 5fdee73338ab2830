"""Who gets the processes that the programs under test leave behind: this process, where a test asks for it."""

import ctypes
import os

import pytest

PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37
_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option, argument):
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def adopt_orphans(wanted):
    """Children that a program leaves behind, dead or alive, become this process's, or don't. Whether they did before."""
    before = ctypes.c_int()
    _prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(before))
    _prctl(PR_SET_CHILD_SUBREAPER, int(wanted))
    return bool(before.value)


def reap_orphans():
    """The pids of dead children that nobody has waited for."""
    found = []
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return found
        if dead is None:
            return found
        found.append(dead.si_pid)


@pytest.fixture(scope="module")
def orphans_come_to_us():
    """For a module; it begins and ends with none. What others of this process have asked for, as lib/oci_rig.py, stays."""
    before = adopt_orphans(True)
    reap_orphans()
    yield
    adopt_orphans(before)
    reap_orphans()
