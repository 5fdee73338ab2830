"""--seccomp FILE: profiles as Docker and the OCI write them."""

import json
import os
import re

import pytest

from lib.runner import text

EPERM, ENOSYS, EACCES = 1, 38, 13
# what busybox and a static C program need, and more of the harmless
ALLOWED = """accept accept4 access alarm arch_prctl bind brk capget capset chdir chmod chown clock_getres clock_gettime
clock_nanosleep clone clone3 close close_range connect dup dup2 dup3 epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 execve
execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync flock fork
fstat fstatfs fsync ftruncate futex getcwd getdents getdents64 getegid geteuid getgid getgroups getpeername getpgid getpgrp getpid
getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid ioctl
kill lgetxattr link linkat listen lseek lstat madvise membarrier mmap mprotect mremap msync munmap nanosleep newfstatat open openat
openat2 pause pipe pipe2 poll ppoll prctl pread64 prlimit64 pselect6 pwrite64 read readahead readlink readlinkat readv recvfrom recvmsg
rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend
rt_sigtimedwait sched_getaffinity sched_yield select sendfile sendmsg sendto set_robust_list set_tid_address setgid setgroups setitimer
setpgid setpriority setresgid setresuid setrlimit setsid setsockopt setuid shutdown sigaltstack socket socketpair stat statfs statx
symlink symlinkat sync sysinfo tgkill time times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork wait4 waitid
write writev""".split()

# what `probe mkdir` itself asks, after whichever of the two execs
LEAST = """execve execveat arch_prctl brk exit_group getrandom mkdir mprotect newfstatat prlimit64 readlink readlinkat rseq set_robust_list
set_tid_address uname write""".split()


def write(cloister, profile, name="profile.json"):
    path = cloister.directory("seccomp") / name
    content = profile if isinstance(profile, (str, bytes)) else json.dumps(profile)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def allow_list(names=ALLOWED, **more):
    return {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [{"names": list(names), "action": "SCMP_ACT_ALLOW"}], **more}


def deny(names, action="SCMP_ACT_ERRNO", **more):
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": names, "action": action, **more}]}


def mkdir_errno(cloister, rootfs, profile):
    outcome = cloister.run(rootfs, "probe", "mkdir", "/tmp/d", opts=["--seccomp", write(cloister, profile)]).ok()
    return int(re.fullmatch(r"errno (\d+)", outcome.word())[1])


def test_without_a_profile_mkdir_works(cloister, rootfs):
    assert cloister.run(rootfs, "probe", "mkdir", "/tmp/d").ok().word() == "errno 0"


def test_an_allow_list_without_mkdir(cloister, rootfs):
    assert mkdir_errno(cloister, rootfs, allow_list()) == EPERM


def test_an_allow_list_with_mkdir(cloister, rootfs):
    assert mkdir_errno(cloister, rootfs, allow_list([*ALLOWED, "mkdir", "mkdirat"])) == 0


@pytest.mark.parametrize("command", ["/bin/probe", "probe"], ids=["by path", "by name"])
@pytest.mark.parametrize("default", ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"], ids=["refused", "killed"])
def test_a_profile_need_not_know_what_cloister_itself_does(cloister, rootfs, default, command):
    """Between the profile and the command there is no call but the exec's, however often."""
    path = write(cloister, {"defaultAction": default, "syscalls": [{"names": LEAST, "action": "SCMP_ACT_ALLOW"}]})
    assert cloister.run(rootfs, command, "mkdir", "/tmp/d", opts=["--seccomp", path]).ok().word() == "errno 0"


@pytest.mark.parametrize("default,status", [("SCMP_ACT_ERRNO", 126), ("SCMP_ACT_KILL_PROCESS", 128 + 31)])
@pytest.mark.parametrize("refused", [["execve", "execveat"], ["execve", "execveat", "exit_group", "exit"]], ids=["exec", "exec and exit"])
def test_a_profile_without_exec_runs_nothing(cloister, rootfs, default, status, refused, nothing_left):
    """Where the end of a process is refused too, main ends all the same."""
    names = [name for name in LEAST if name not in refused]
    path = write(cloister, {"defaultAction": default, "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]})
    outcome = cloister.run(rootfs, "/bin/probe", "mkdir", "/tmp/d", opts=["--seccomp", path], timeout=20)
    assert outcome.exit == status and outcome.out == b"", str(outcome)


def test_default_errno(cloister, rootfs):
    assert mkdir_errno(cloister, rootfs, allow_list(defaultErrnoRet=ENOSYS)) == ENOSYS


def test_a_deny_list(cloister, rootfs):
    assert mkdir_errno(cloister, rootfs, deny(["mkdir", "mkdirat"])) == EPERM
    assert mkdir_errno(cloister, rootfs, deny(["mkdir", "mkdirat"], errnoRet=EACCES)) == EACCES


def test_kill_is_a_signal(cloister, rootfs):
    profile = deny(["mkdir", "mkdirat"], "SCMP_ACT_KILL_PROCESS")
    outcome = cloister.run(rootfs, "probe", "mkdir", "/tmp/d", opts=["--seccomp", write(cloister, profile)])
    assert outcome.exit == 128 + 31, str(outcome)
    outcome.ended("signaled")


def test_arguments(cloister, rootfs):
    """socket() of family 2 alone is refused."""
    profile = deny(["socket"], args=[{"index": 0, "value": 2, "valueTwo": 0, "op": "SCMP_CMP_EQ"}], errnoRet=EACCES)
    outcome = cloister.run(rootfs, "probe", "net", opts=["--seccomp", write(cloister, profile)])
    assert outcome.exit == EACCES, str(outcome)
    outcome = cloister.run("host", "/usr/bin/python3", "-c", "import socket; socket.socketpair(); print('fine')",
                           opts=["--seccomp", write(cloister, profile)])
    assert outcome.ok().word() == "fine"


def test_rules_for_capabilities_that_are_not_there_do_not_apply(cloister, rootfs):
    profile = allow_list()
    profile["syscalls"].append({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}})
    assert mkdir_errno(cloister, rootfs, profile) == EPERM
    profile["syscalls"][-1] = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}}
    assert mkdir_errno(cloister, rootfs, profile) == 0


def test_docker_arch_map_and_unknown_calls(cloister, rootfs):
    profile = allow_list()
    del profile["architectures"]
    profile["archMap"] = [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
                          {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}]
    profile["syscalls"].append({"names": ["a_call_of_a_later_kernel"], "action": "SCMP_ACT_ALLOW", "comment": "", "args": []})
    assert mkdir_errno(cloister, rootfs, profile) == EPERM


BAD = {
    "no default": {"syscalls": []},
    "empty": "",
    "not json": "defaultAction: SCMP_ACT_ALLOW\n{",
    "list": [],
    "unknown action": {"defaultAction": "SCMP_ACT_PERHAPS"},
    "action is a number": {"defaultAction": 7},
    "unknown rule action": deny(["mkdir"], "SCMP_ACT_PERHAPS"),
    "names is a word": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "mkdir", "action": "SCMP_ACT_ERRNO"}]},
    "name is a number": deny([7]),
    "no names": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ERRNO"}]},
    "no action": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"]}]},
    "syscalls is a map": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}},
    "argument index": deny(["socket"], args=[{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]),
    "argument op": deny(["socket"], args=[{"index": 0, "value": 0, "op": "SCMP_CMP_LIKE"}]),
    "argument value": deny(["socket"], args=[{"index": 0, "value": "2", "op": "SCMP_CMP_EQ"}]),
    "errno too big": deny(["mkdir"], errnoRet=70000),
    "errno negative": deny(["mkdir"], errnoRet=-1),
    "unknown architecture": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_ABACUS"]},
    "duplicate": '{"defaultAction": "SCMP_ACT_ALLOW", "defaultAction": "SCMP_ACT_ERRNO"}',
    "invalid utf-8": b'{"defaultAction": "\xff"}',
    "deep": "[" * 100_000,
    "trailing": '{"defaultAction": "SCMP_ACT_ALLOW"} x',
    "notify": {"defaultAction": "SCMP_ACT_NOTIFY"},
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_profile_is_refused(cloister, rootfs, name, nothing_left):
    path = write(cloister, BAD[name])
    cloister.run(rootfs, "true", opts=["--seccomp", path], timeout=20).refused(re.escape(path.name))


def test_a_profile_does_not_open_what_cloister_closes_for_foreign_abis(cloister, rootfs):
    outcome = cloister.run(rootfs, "grep", "Seccomp:", "/proc/self/status", opts=["--seccomp", write(cloister, deny(["mkdir"]))])
    assert text(outcome.ok().out).split() == ["Seccomp:", "2"]


@pytest.mark.parametrize("volume", [[], ["rw"]], ids=["no volume", "rw volume"])
def test_no_profile_allows_set_id_files(cloister, rootfs, volume):
    """On a rw volume the host's users would meet them."""
    directory = cloister.directory("volume")
    os.chown(directory, cloister.uid or 1234, cloister.gid or 1234)
    opts = ["--seccomp", write(cloister, {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []})]
    if volume:
        opts += ["-v", f"{directory}:/mine:rw"]
    place = "/mine" if volume else "/tmp"
    script = f"cd {place} && echo x >f && chmod 755 f && ! chmod 4755 f && ! chmod 2755 f && ! chmod u+s f && ls -l f"
    outcome = cloister.run(rootfs, "/bin/busybox", "sh", "-c", script, opts=opts).ok()
    assert outcome.word().startswith("-rwxr-xr-x"), str(outcome)
