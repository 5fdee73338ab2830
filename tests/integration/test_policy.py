"""--policy FILE: the same structure as the flags, in YAML."""

import json
import os
import re

import pytest

from lib.patience import patience
from lib.runner import text


@pytest.fixture
def policy(cloister):
    return writer(cloister)


def writer(cloister):
    def write(content, name="policy.yaml"):
        path = cloister.directory("policy") / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o644)
        return path
    return write


def test_every_key_of_the_design(cloister, rootfs, policy, world):
    source = world.directory("source", owner="user")
    (source / "file").write_text("given\n")
    os.chown(source / "file", world.user.pw_uid, world.user.pw_gid)
    path = policy(f"""# a comment
wall: container
profile: strict
files:
  - {{host: {source}, path: /src, mode: ro}}
  - {{host: {source}, path: /mine, mode: copy}}
network: none
env: {{LANG: C.UTF-8, WORD: "two words"}}
user: "1234:1235"
limits: {{memory: 128MiB, swap: 0, cpu_time: 60s, time: 1m, tasks: 64, disk: 16MiB, output: 1MiB, open_files: 100, file_size: 1MiB}}
""")
    script = "cat /src/file; echo x >/mine/file && cat /mine/file; echo $WORD; id -u; id -g; ulimit -n; ulimit -f"
    outcome = cloister.run(rootfs, "sh", "-c", script, opts=["--policy", path]).ok()
    assert outcome.lines() == ["given", "x", "two words", "1234", "1235", "100", "2048"]
    assert (source / "file").read_text() == "given\n"
    limits = outcome.result["limits"]
    assert (limits.get("disk") or limits.get("disk_bytes")) == 16 << 20


def test_cpus_key(limited, rootfs):
    path = writer(limited)("limits: {cpus: 1.5}\n")
    limited.run(rootfs, "true", opts=["--policy", path]).ok()


def test_json_is_a_policy_too(cloister, rootfs, policy):
    path = policy(json.dumps({"env": {"A": "ü"}, "limits": {"open_files": 99, "time": "30s"}, "network": "none"}), "policy.json")
    assert cloister.run(rootfs, "sh", "-c", "echo $A; ulimit -n", opts=["--policy", path]).ok().lines() == ["ü", "99"]


@pytest.mark.parametrize("content", ["", "\n", "# nothing\n", "---\n"])
def test_a_file_with_no_policy_in_it_is_refused(cloister, rootfs, content):
    """Most likely a mistake: {} is the policy that changes nothing."""
    path = writer(cloister)(content)
    cloister.run(rootfs, "true", opts=["--policy", path]).refused(re.escape(path.name))


@pytest.mark.parametrize("content", ["{}\n", "--- {}\n...\n", "\ufeffenv: {A: b}\n"])
def test_empty_policies_change_nothing(cloister, rootfs, content):
    assert cloister.run(rootfs, "echo", "ran", opts=["--policy", writer(cloister)(content)]).ok().out == b"ran\n"


@pytest.mark.parametrize("order", [0, 1])
def test_flags_win_over_the_policy(cloister, rootfs, policy, order):
    path = policy("env: {A: file, B: file}\nuser: '1234'\nlimits: {open_files: 99, time: 1s}\n")
    given = [["--policy", path], ["-e", "A=flag", "-u", "1235", "--open-files", "88", "--timeout", "30s"]]
    opts = given[order] + given[1 - order]
    outcome = cloister.run(rootfs, "sh", "-c", "echo $A $B; id -u; ulimit -n; sleep 1.5", opts=opts).ok()
    assert outcome.lines() == ["flag file", "1235", "88"]


def test_volumes_of_flags_and_policy_add_up(cloister, rootfs, policy, world):
    one, two = world.directory("one"), world.directory("two")
    path = policy(f"files:\n  - {{host: {one}, path: /one}}\n")
    outcome = cloister.run(rootfs, "ls", "-d", "/one", "/two", opts=["--policy", path, "-v", f"{two}:/two"])
    assert outcome.ok().lines() == ["/one", "/two"]


@pytest.mark.parametrize("name", ["a b", "a,b", "a:b", "ünï", "'\""])
def test_odd_names_in_a_policy(cloister, rootfs, policy, world, name):
    path = world.directory("odd", owner="user") / name
    path.mkdir()
    (path / "file").write_text("odd\n")
    written = policy(json.dumps({"files": [{"host": str(path), "path": f"/at {name}", "mode": "ro"}]}))
    assert cloister.run(rootfs, "cat", f"/at {name}/file", opts=["--policy", written]).ok().out == b"odd\n"


BAD = {
    # name: (content, the line that is told or None, what the message names)
    "unknown key": ("wall: container\nnetwrk: none\n", 2, "netwrk"),
    "unknown limit": ("limits:\n  memory: 1MiB\n  memroy: 2MiB\n", 3, r"limits\.memroy"),
    "unknown key of a file": ("files:\n  - host: /tmp\n    path: /x\n    mod: ro\n", 4, r"files\[0\]\.mod\b"),
    "second file": ("files:\n  - {host: /tmp, path: /x}\n  - {host: /tmp, path: 7, mode: zz}\n", 3, r"files\[1\]\.(path|mode)"),
    "duplicate key": ("network: none\nwall: container\nnetwork: none\n", 3, "network"),
    "duplicate limit": ("limits: {tasks: 5, tasks: 6}\n", 1, "tasks"),
    "duplicate env": ("env:\n  A: a\n  B: b\n  A: c\n", 4, r"env\.A|\bA\b"),
    "files is no list": ("files: {host: /tmp, path: /x}\n", 1, "files"),
    "limits is a list": ("limits: [1, 2]\n", 1, "limits"),
    "limits is a word": ("limits: none\n", 1, "limits"),
    "env is a list": ("env: [A=1]\n", 1, "env"),
    "env value is a map": ("env: {A: {B: c}}\n", 1, r"env\.A"),
    "wall is a list": ("wall: [container]\n", 1, "wall"),
    "wall unknown": ("wall: castle\n", 1, "wall"),
    "profile unknown": ("profile: stricter\n", 1, "profile"),
    "network unknown": ("network: all\n", 1, "network"),
    "network allow not built": ("network: {allow: ['example.org:443']}\n", 1, "network"),
    "memory negative": ("limits: {memory: -1}\n", 1, r"limits\.memory"),
    "memory word": ("limits: {memory: lots}\n", 1, r"limits\.memory"),
    "memory huge": ("limits: {memory: 99999999999999999999999}\n", 1, r"limits\.memory"),
    "memory overflow": ("limits: {memory: 99999999999GiB}\n", 1, r"limits\.memory"),
    "memory null": ("limits: {memory: }\n", 1, r"limits\.memory"),
    "memory boolean": ("limits: {memory: true}\n", 1, r"limits\.memory"),
    "memory zero": ("limits: {memory: 0}\n", 1, r"limits\.memory"),
    "time bad unit": ("limits: {time: 5parsecs}\n", 1, r"limits\.time"),
    "tasks fraction": ("limits: {tasks: 1.5}\n", 1, r"limits\.tasks"),
    "cpus nan": ("limits: {cpus: .nan}\n", 1, r"limits\.cpus"),
    "cpus inf": ("limits: {cpus: .inf}\n", 1, r"limits\.cpus"),
    "mode unknown": ("files: [{host: /tmp, path: /x, mode: rwx}]\n", 1, r"files\[0\]\.mode"),
    "path relative": ("files: [{host: /tmp, path: x}]\n", 1, r"files\[0\]\.path"),
    "path missing": ("files: [{host: /tmp}]\n", 1, r"files\[0\]|path"),
    "host missing": ("files:\n  - {path: /tmp}\n", 2, r"files\[0\]|host"),
    "user negative": ("user: -5\n", 1, "user"),
    "top is a list": ("- wall\n", 1, None),
    "top is a word": ("container\n", 1, None),
    "two documents": ("wall: container\n---\nwall: container\n", None, None),
    "anchor cycle": ("env: &a {A: *a}\n", None, None),
    "tag": ("wall: !!python/object:os.system container\n", 1, None),
    "merge key": ("a: &a {tasks: 5}\nlimits: {<<: *a}\n", None, None),
    "complex key": ("? [a, b]\n: c\n", 1, None),
    "null key": ("~: x\n", 1, None),
    "not closed": ("limits: {memory: 1MiB\n", None, None),
    "tab": ("limits:\n\tmemory: 1MiB\n", 2, None),
    "control character": ("wall: cont\x01ainer\n", 1, None),
    "invalid utf-8": (b"wall: container\nenv: {A: \xff\xfe}\n", None, None),
    "overlong utf-8": (b"env: {A: \xc0\x80}\n", None, None),
    "surrogate": (b"env: {A: \xed\xa0\x80}\n", None, None),
    "nul": (b"wall: container\0\n", None, None),
    "nul in a value": ('env: {A: "x\\0y"}\n', 1, None),
    "nul in a path": ('files: [{host: "/tmp\\0x", path: /x}]\n', 1, None),
    "utf-16": ("wall: container\n".encode("utf-16"), None, None),
    "binary": (bytes(range(256)) * 40, None, None),
    "elf": (b"\x7fELF\x02\x01\x01" + b"\0" * 4000, None, None),
    "env name": ("env: {'A=B': c}\n", 1, "A=B"),
    "empty env name": ("env: {'': c}\n", 1, "env"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_policy_is_refused_with_line_and_path(cloister, rootfs, name, nothing_left):
    content, line, names = BAD[name]
    path = writer(cloister)(content)
    outcome = cloister.run(rootfs, "true", opts=["--policy", path], timeout=20).refused(re.escape(path.name))
    if line is not None:
        assert re.search(rf"(:|line ){line}\b", text(outcome.err)), str(outcome)
    if names is not None:
        assert re.search(names, text(outcome.err)), str(outcome)


@pytest.mark.parametrize("content,names", [("wall: vm\n", "wall"), ("user: no-such-user\n", "no-such-user")])
def test_what_cannot_be_had_is_refused(cloister, rootfs, content, names):
    """Right in form, so it is decided with the image and the host, after the file was read."""
    cloister.run(rootfs, "true", opts=["--policy", writer(cloister)(content)]).refused(names)


@pytest.mark.parametrize("opening,closing", [("[", "]"), ("{a: ", "}"), ("- ", ""), ("[", "")], ids=["lists", "maps", "dashes", "open"])
@pytest.mark.parametrize("depth", [100, 200_000])
def test_deep_nesting_is_refused_quickly(cloister, rootfs, opening, closing, depth):
    path = writer(cloister)("env: " + opening * depth + closing * depth + "\n")
    outcome = cloister.run(rootfs, "true", opts=["--policy", path], timeout=20).refused(re.escape(path.name))
    assert outcome.seconds < patience(5)


def test_aliases_that_grow_are_refused_quickly(cloister, rootfs):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path = writer(cloister)("\n".join(rows) + "\n")
    assert cloister.run(rootfs, "true", opts=["--policy", path], timeout=20).refused().seconds < patience(5)


@pytest.mark.parametrize("flag", ["--policy", "--seccomp", "--env-file"])
def test_a_gigabyte_is_refused_quickly(cloister, rootfs, flag):
    path = writer(cloister)("")
    os.truncate(path, 1 << 30)
    outcome = cloister.run(rootfs, "true", opts=[flag, path], timeout=20).refused()
    assert outcome.seconds < patience(5), outcome.seconds


@pytest.mark.parametrize("flag", ["--policy", "--seccomp", "--env-file"])
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom", "/tmp", "/no/such/file", "", "/proc/self/mem"])
def test_what_is_not_a_file_is_refused(cloister, rootfs, flag, path):
    cloister.run(rootfs, "true", opts=[flag, path], timeout=20).refused()


@pytest.mark.parametrize("flag", ["--policy", "--seccomp", "--env-file"])
def test_a_fifo_does_not_hang(cloister, rootfs, flag):
    path = cloister.directory() / "fifo"
    os.mkfifo(path)
    cloister.run(rootfs, "true", opts=[flag, path], timeout=20).refused()


@pytest.mark.parametrize("flag", ["--policy", "--seccomp", "--env-file"])
def test_a_file_that_the_user_may_not_read(as_user, rootfs, flag, world):
    path = world.directory("closed") / "file"
    path.write_text("env: {SECRET_WORD: x}\n")
    path.chmod(0o600)
    outcome = as_user.run(rootfs, "true", opts=[flag, path]).refused(re.escape(str(path)))
    assert b"SECRET_WORD" not in outcome.err


def test_the_message_shows_no_control_characters_of_the_file(cloister, rootfs):
    path = writer(cloister)('"\\e[2Jkey\\nnext": 1\n')
    outcome = cloister.run(rootfs, "true", opts=["--policy", path]).refused()
    assert b"\x1b" not in outcome.err


def test_the_same_file_again_and_changed(cloister, rootfs, policy):
    """What was compiled once is used again, and only while the bytes are the same."""
    path = policy("env: {A: first}\n")
    for _ in range(3):
        assert cloister.run(rootfs, "sh", "-c", "echo $A", opts=["--policy", path]).ok().out == b"first\n"
    path.write_text("env: {A: other}\n")
    assert cloister.run(rootfs, "sh", "-c", "echo $A", opts=["--policy", path]).ok().out == b"other\n"
