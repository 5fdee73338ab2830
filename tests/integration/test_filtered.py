"""Under somebody's seccomp filter, as a hardened systemd service is: what can't be done is said, with what to change."""

import errno
import os
import re

import pytest

from lib.filtered import filtered
from lib.runner import text

PROTECTED = [("clone3", errno.ENOSYS, "RestrictNamespaces="), ("openat2", errno.ENOSYS, "RestrictSUIDSGID="),
             ("sethostname", errno.EPERM, "ProtectHostname="), ("socket", errno.EAFNOSUPPORT, "RestrictAddressFamilies="),
             ("fsopen", errno.EPERM, "SystemCallFilter=")]


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


@pytest.mark.parametrize(("call", "code", "setting"), PROTECTED, ids=lambda value: str(value))
def test_doctor_names_it_too(cloister, call, code, setting):
    seen = cloister.call("doctor", preexec_fn=filtered(call, code))
    if code == errno.EPERM and call == "fsopen":
        return  # what an ordinary user is told without any filter
    assert seen.exit == 1
    assert re.search(rf"system calls +missing +{call}: ", text(seen.out)), f"{seen}"
    assert f"change {setting}" in text(seen.out), f"{seen}"


def test_doctor_finds_no_filter_where_nothing_is_forbidden(cloister):
    assert re.search(r"system calls +works", text(cloister.call("doctor", preexec_fn=filtered()).out))
