"""Under somebody's seccomp filter, as a hardened systemd service is: what can't be done is said, with what to change."""

import ctypes
import errno
import os
import struct

import pytest

from lib.faults import syscall_numbers
from lib.runner import text

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000
PROTECTED = [("clone3", errno.ENOSYS, "RestrictNamespaces="), ("openat2", errno.ENOSYS, "RestrictSUIDSGID="),
             ("sethostname", errno.EPERM, "ProtectHostname="), ("socket", errno.EAFNOSUPPORT, "RestrictAddressFamilies="),
             ("fsopen", errno.EPERM, "SystemCallFilter=")]
_libc = ctypes.CDLL(None, use_errno=True)


class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def filtered(call=None, code=0):
    """What puts the calling process under a filter that answers CODE to CALL, and allows the rest."""
    rows = [(LOAD_WORD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, syscall_numbers()[call] if call else 0xffffffff),
            (RETURN, 0, 0, ERRNO | code), (RETURN, 0, 0, ALLOW)]
    code_bytes = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    program = Program(len(rows), ctypes.cast(code_bytes, ctypes.c_void_p))

    def install():
        if _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
            os._exit(99)
    install.kept = code_bytes
    return install


@pytest.mark.parametrize(("call", "code", "setting"), PROTECTED, ids=lambda value: str(value))
def test_a_filter_of_the_callers_is_named(cloister, nothing_left, call, code, setting):
    outcome = cloister.run("host", "true", result=False, preexec_fn=filtered(call, code)).refused("seccomp filter", setting)
    assert os.strerror(code).split(" by ")[0] in text(outcome.err), f"{outcome}"


def test_a_result_that_can_not_be_opened_safely_is_told(cloister, nothing_left):
    cloister.run("host", "true", preexec_fn=filtered("openat2", errno.ENOSYS)).refused("result file", "RestrictSUIDSGID=")


def test_a_filter_that_forbids_nothing_is_not_accused(cloister, nothing_left):
    cloister.run("host", "true", preexec_fn=filtered()).ok()
    outcome = cloister.run("host", "true", opts=["-v", "/etc:/e:rw"], preexec_fn=filtered())
    assert "seccomp" not in text(outcome.err), f"{outcome}"
