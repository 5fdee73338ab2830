"""The image `host`: real programs of this machine, and nothing of its secrets."""

import os
import subprocess
from pathlib import Path

import pytest

from lib.world import command

HELLO = b'#include <stdio.h>\nint main(void) { printf("hello %d\\n", 6 * 7); return 3; }\n'
ETC_MAY_HOLD = {"alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl", "passwd", "group", "hosts", "hostname",
                "resolv.conf", "nsswitch.conf", "localtime", "timezone", "services", "protocols", "mime.types", "terminfo",
                "ca-certificates", "ca-certificates.conf", "pki", "crypto-policies", "gai.conf", "host.conf", "ethertypes", "rpc",
                "inputrc", "magic", "magic.mime", "xattr.conf", "java-11-openjdk", "java-17-openjdk", "python3", "python3.11",
                "perl", "debian_version", "os-release", "environment", "profile", "bash.bashrc", "locale.alias", "mke2fs.conf"}


def test_gcc_compiles_and_the_program_runs(cloister):
    outcome = cloister.run("host", "sh", "-c", "cat >a.c && gcc -Wall -O1 -o a a.c && ./a", input=HELLO)
    assert outcome.exit == 3 and outcome.out == b"hello 42\n", str(outcome)


def test_gcc_with_many_files(cloister):
    script = ('for i in 1 2 3 4 5 6; do echo "int f$i(void) { return $i; }" >f$i.c; done; '
              'echo "int f6(void); int main(void) { return f6(); }" >m.c; gcc -pipe -flto -o m *.c && ./m')
    assert cloister.run("host", "bash", "-c", script).exit == 6


def test_python3(cloister):
    program = ("import json, os, subprocess, tempfile, threading, multiprocessing, socket, hashlib, ctypes, ssl, sqlite3\n"
               "with tempfile.TemporaryDirectory() as d:\n"
               "    sqlite3.connect(d + '/x').execute('create table t (a)')\n"
               "with multiprocessing.Pool(2) as p: total = sum(p.map(abs, range(-50, 0)))\n"
               "out = subprocess.run(['echo', 'child'], capture_output=True, text=True).stdout.strip()\n"
               "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
               "a, b = socket.socketpair(); a.send(b'x')\n"
               "print(json.dumps([total, out, b.recv(1).decode(), os.getuid()]))\n")
    assert cloister.run("host", "/usr/bin/python3", "-c", program).ok().word() == '[1275, "child", "x", 1000]'


def test_names_are_found_without_netlink(cloister):
    """The filter refuses netlink sockets, by which the C library would ask which addresses there are."""
    program = ("import socket, threading, http.server, urllib.request\n"
               "server = http.server.HTTPServer(('localhost', 0), http.server.SimpleHTTPRequestHandler)\n"
               "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
               "name = f'http://localhost:{server.server_port}/'\n"
               "answer = urllib.request.urlopen(name).status\n"
               "found = socket.getaddrinfo('localhost', 80, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)\n"
               "print(answer, found[0][4][0], socket.if_nametoindex('lo'))\n")
    assert cloister.run("host", "/usr/bin/python3", "-c", program).ok().word() in ("200 127.0.0.1 1", "200 ::1 1")


def test_git(cloister):
    script = ("git init -q r && cd r && echo text >f && git add f && "
              "git -c user.name=n -c user.email=e@example commit -q -m 'the message' && git log --format=%s && git status --short")
    assert cloister.run("host", "sh", "-c", script).ok().out == b"the message\n"


def test_git_on_a_volume(cloister, world):
    source = world.directory("repository", owner="user")
    outcome = cloister.run("host", "sh", "-c", "cd /r && git init -q . && git -c user.name=n -c user.email=e@e commit -q --allow-empty -m m && git log --format=%s",
                           opts=["-v", f"{source}:/r:rw"])
    assert outcome.ok().out == b"m\n"
    assert (source / ".git/HEAD").stat().st_uid == world.user.pw_uid


def test_bash(cloister):
    script = "a=(1 2 3); coproc cat; echo x >&${COPROC[1]}; read l <&${COPROC[0]}; diff <(echo a) <(echo a) && echo $l ${#a[@]} $((2**40))"
    assert cloister.run("host", "bash", "-c", script).ok().out == b"x 3 1099511627776\n"


@pytest.mark.parametrize("program", [["perl", "-e", "print 1+1"], ["make", "--version"], ["tar", "--version"],
                                     ["date"], ["getent", "passwd", "1000"], ["locale"], ["/bin/ls", "/lib64/"]])
def test_other_programs(cloister, program):
    assert cloister.run("host", *program).ok().out != b""


def test_the_user_has_a_name(cloister):
    outcome = cloister.run("host", "sh", "-c", "id -un; getent passwd root | cut -d: -f3; echo ~").ok()
    name, root, home = outcome.lines()
    assert name and not name.isdigit() and root == "0" and home != "/root"


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/sudoers", "/etc/ssl/private", "/root", "/home", "/boot",
                                  "/etc/ssh", "/etc/crontab", "/etc/machine-id", "/var/lib", "/var/log", "/run/cloister", "/mnt",
                                  "/etc/subuid", "/etc/fstab", "/srv", "/var/spool"])
def test_the_hosts_own_is_not_there(cloister, path):
    outcome = cloister.run("host", "sh", "-c", f"cat {path} 2>/dev/null; ls -A {path} 2>/dev/null; true").ok()
    words = set(outcome.lines())
    if os.path.isdir(path):
        assert not words & set(os.listdir(path)), words
    assert not [w for w in words if ":" in w or "=" in w], words


def test_the_top_of_the_tree_is_short(cloister):
    top = set(cloister.run("host", "ls", "-A", "/").ok().lines())
    assert {"usr", "bin", "lib", "etc", "tmp", "proc", "dev"} <= top
    assert not top & {"work", "boot", "lost+found", "media", "mnt", "opt", "srv", ".dockerenv"}, top
    unknown = (set(os.listdir("/")) & top) - {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "tmp", "proc", "dev", "sys", "var", "run", "root", "home"}
    assert not unknown, unknown


def test_etc_holds_what_programs_need_and_no_more(cloister):
    names = set(cloister.run("host", "ls", "-A", "/etc").ok().lines())
    assert {"passwd", "group"} <= names
    assert not names - ETC_MAY_HOLD, names - ETC_MAY_HOLD


def test_passwd_is_not_the_hosts(cloister, world):
    seen = cloister.run("host", "cat", "/etc/passwd", "/etc/group").ok().word()
    assert world.user.pw_name not in seen and "postgres" not in seen and len(seen.splitlines()) < 12


def test_certificates_are_there_when_the_host_has_them(cloister):
    if not Path("/etc/ssl/certs/ca-certificates.crt").exists():
        pytest.skip("the host has no /etc/ssl/certs/ca-certificates.crt")
    size = os.path.getsize("/etc/ssl/certs/ca-certificates.crt")
    assert cloister.run("host", "sh", "-c", "wc -c </etc/ssl/certs/ca-certificates.crt").ok().word() == str(size)


def test_a_closed_file_below_usr_stays_closed(cloister, world):
    # only a mount of this process's own namespace: nobody else sees it
    closed = world.directory("closed", mode=0o700)
    (closed / "secret").write_text("of root only\n")
    (closed / "secret").chmod(0o600)
    place = "/usr/local/share"
    command("mount", "--bind", closed, place)
    try:
        for profile in ("strict", "build"):
            outcome = cloister.run("host", "sh", "-c", f"cat {place}/secret; ls {place}", opts=["--profile", profile])
            assert b"of root only" not in outcome.out and b"secret\n" not in outcome.out, str(outcome)
    finally:
        command("umount", place)


def test_usr_cannot_be_written(cloister):
    before = os.stat("/usr/bin").st_mtime_ns
    for profile in ("strict", "build"):
        cloister.run("host", "sh", "-c", "touch /usr/bin/cloister-was-here /bin/cloister-was-here; true", opts=["--profile", profile]).ok()
    assert os.stat("/usr/bin").st_mtime_ns == before and not os.path.exists("/usr/bin/cloister-was-here")


def test_tmp_of_the_host_is_not_seen(cloister, world):
    mark = world.directory("mark", mode=0o777)
    listing = cloister.run("host", "sh", "-c", "ls -A /tmp /var/tmp").ok().word()
    assert mark.parent.name not in listing


# A selinuxfs of a policy that knows no context: what is asked for is not what it answers.
SELINUX = ("mount -t tmpfs none /sys/fs && mkdir /sys/fs/selinux && cd /sys/fs/selinux && echo %s > enforce && "
           "echo 1 > mls && ln -s /dev/null context && exec \"$@\"")


@pytest.mark.parametrize("enforcing,opts,status", [("1", [], 125), ("1", ["--without", "selinux"], 0), ("0", [], 0)])
def test_a_host_that_enforces_selinux_is_not_passed_over(cloister, enforcing, opts, status):
    view = ["unshare", "-m", "sh", "-c", SELINUX % enforcing, "selinux"]
    argv = [*view, *cloister.argv("run", "--without", "limits", *opts, "host", "true")]
    done = subprocess.run(argv, env=cloister.environment(), cwd="/", capture_output=True, timeout=60)
    assert done.returncode == status, done
    if status == 125:
        assert done.stderr.count(b"\n") == 1 and b"--without selinux" in done.stderr, done
        assert b"container_t" in done.stderr and b"container-selinux" in done.stderr, done


@pytest.mark.parametrize("user,ids", [("user", "1000 1000"), ("nobody", "65534 65534"), ("user:nogroup", "1000 65534"), ("7:user", "7 1000"),
                                      ("nobody:8", "65534 8"), ("user:user", "1000 1000")])
def test_its_own_names_are_known(cloister, user, ids):
    assert cloister.run("host", "sh", "-c", "echo $(id -u) $(id -g)", opts=["-u", user]).ok().lines() == [ids]


@pytest.mark.parametrize("user,why", [("daemon", 'no user "daemon".*numbers'), ("cloister-test:user", 'no user "cloister-test"'), ("7:daemon", 'no group "daemon"'),
                                      ("user:nobody", 'no group "nobody"'), ("nobody:" + "x" * 57, "no group")])
def test_the_hosts_names_are_not(cloister, user, why):
    cloister.run("host", "true", opts=["-u", user], result=False).refused(why)
