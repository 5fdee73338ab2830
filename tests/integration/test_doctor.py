"""What doctor says of a host that lacks something, and whether the cure is one."""

import json
import re
import subprocess

import pytest

from lib.runner import text

OWN = "/proc/self/cgroup"


def v1_directory(controller):
    """Of this process, in a hierarchy of v1; None where there is none."""
    for line in open(OWN, encoding="ascii"):
        _, controllers, path = line.rstrip("\n").split(":", 2)
        if controller in controllers.split(","):
            return f"/sys/fs/cgroup/{controller}{path.rstrip('/')}"
    return None


def test_a_user_on_v1_is_told_of_cgroups_that_root_gives(as_user, world):
    if v1_directory("memory") is None:
        pytest.skip("needs cgroup v1")
    said = text(as_user.call("doctor").out)
    assert "--without limits" in said
    assert "or accept" not in said.split("\ncgroups:")[0], "that stands with the cures"
    assert re.search(r"for c in memory pids cpu cpuacct; do d=/sys/fs/cgroup/\$c/cloister-test; "
                     r"mkdir -p \$d; chown cloister-test \$d; echo PID >\$d/tasks; done", said), said


def test_cgroups_that_root_gave_are_enough(as_user, world):
    """The same as that cure, below our own cgroups and not at the root of the host's."""
    if v1_directory("memory") is None:
        pytest.skip("needs cgroup v1")
    given = [v1_directory(controller) + "/cltest-doctor" for controller in ("memory", "pids", "cpu", "cpuacct")]
    argv = as_user.argv("run", "--cpus", "0.5", "-m", "20m", "host", "/usr/bin/python3", "-c", "x = bytearray(100 << 20)")
    enter = "".join(f"mkdir -p {d} && chown {world.user.pw_name} {d} && echo $$ >{d}/tasks && " for d in given)
    leave = "".join(f"echo $$ >{d}/../tasks; rmdir {d}; " for d in given)
    shell = f'{enter} "$@"; status=$?; {leave} exit $status'
    done = subprocess.run(["sh", "-c", shell, "sh", *argv], capture_output=True, timeout=60, cwd="/", check=False,
                          env=as_user.environment(None))
    assert done.returncode == 137 and b"memory limit of 20MiB" in done.stderr, done


@pytest.mark.parametrize("how", ["read-only", "full"])
def test_a_state_directory_that_takes_nothing_does_not_work(as_root, as_user, how):
    """Both as text and as JSON, and what it says is what a run says."""
    first, then = {"read-only": ("size=1m", "ro"), "full": ("nr_inodes=2", "rw")}[how]  # the root and the directory
    for who in (as_root, as_user):
        place = who.state().parent
        hide = (f'mount -t tmpfs -o mode=0777,{first} none {place} && mkdir -m 700 {place}/cloister && chown {who.uid} {place}/cloister && '
                f'mount -o remount,{then} {place} && exec "$@"')
        for words in (["doctor"], ["doctor", "--format", "json"], ["run", "--without", "limits", "host", "true"]):
            argv = ["unshare", "-m", "sh", "-c", hide, "sh", *who.argv(*words)]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd="/", env=who.environment(None))
            reason = {"read-only": "Read-only file system", "full": "No space left on device"}[how]
            if words[0] == "run":
                assert done.returncode == 125 and reason in done.stderr, done
            elif "json" in words:
                found = json.loads(done.stdout)
                check, = [check for check in found["checks"] if check["name"] == "state directory"]
                assert check["state"] == "missing" and reason in check["why"] and check["cure"], check
                assert not found["works"] and done.returncode == 1
            else:
                assert re.search(rf"state directory +missing +.*{reason}", done.stdout), done.stdout
                assert re.search("^state directory: .", done.stdout, re.M), done.stdout


@pytest.mark.parametrize("how", ["read-only", "full", "somebody else's"])
def test_what_doctor_says_of_scratch_on_disk_is_what_a_run_says(as_root, how):
    """Asked for by a --disk of more than half of --memory."""
    hide = {"read-only": "mount -t tmpfs -o ro none /var/lib", "full": "mount -t tmpfs -o size=8k,mode=0755 none /var/lib",
            "somebody else's": "mount -t tmpfs -o mode=0755 none /var/lib && mkdir /var/lib/cloister && chown nobody /var/lib/cloister"}[how]
    reason = {"read-only": "Read-only file system", "full": "No space left on device", "somebody else's": "Operation not permitted"}[how]
    said = {}
    for words in (["run", "-m", "64m", "--disk", "48m", "host", "true"], ["doctor"]):
        argv = ["unshare", "-m", "sh", "-c", f'mount --make-rprivate / && {hide} && exec "$@"', "sh", *as_root.argv(*words)]
        said[words[0]] = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd="/", env=as_root.environment(None))
    run = said["run"]
    assert run.returncode == 125 and run.stderr.endswith("; a --disk of at most half of --memory needs no disk\n"), run
    assert ("exit status 1, as it does where /var/lib/cloister is full" if how == "full" else reason) in run.stderr, run
    row = rf"loop devices +absent +scratch must stay within half of the memory limit: /var/lib/cloister: {reason}"
    assert re.search(row, said["doctor"].stdout), said["doctor"].stdout
    assert re.search("^loop devices: .*/var/lib/cloister", said["doctor"].stdout, re.M), said["doctor"].stdout


def test_root_of_a_namespace_is_told_so(cloister):
    """Whoever made it: root or an ordinary user outside."""
    argv = [*cloister.prefix(), "unshare", "-Ur", cloister.binary, "doctor"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=cloister.environment(None)).stdout
    assert re.search(r"uid ranges +missing +this user namespace lacks the uids", said), said
    assert "unshare -r" in said
    assert "modprobe loop" not in said, said  # a device that is there
