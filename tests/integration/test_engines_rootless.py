"""An ordinary user's podman, whose containers have a user namespace; and buildah, as root and as that user."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.oci_engines import Podman, UserPodman
from lib.rootless import subordinate
from lib.runner import poll
from lib.terminal import Terminal

DOCKERFILE = """FROM {base}
COPY given /srv/given
RUN echo "made by $(id -u)" > /srv/made && chmod 0640 /srv/made && chown 1000:1000 /srv/made
RUN grep Seccomp: /proc/self/status > /srv/filter; mount -t tmpfs x /mnt 2>/dev/null || echo held > /srv/held
USER 1000
RUN cat /srv/made > /tmp/mine
CMD cat /srv/given /tmp/mine /srv/held
"""


@pytest.fixture(scope="module")
def user(make_engine):
    return make_engine(UserPodman)


@pytest.fixture
def box(user):
    name = user.started()
    yield name
    user.remove(name)


@pytest.fixture
def own(user, world):
    """A directory of the user's."""
    made = world.directory("own", owner="user")
    return made


def test_ids_inside_and_outside(user, world):
    first, count = subordinate("/etc/subuid", world.user)
    out = user.run("sh", "-c", "id -u; cat /proc/self/uid_map").split()
    assert out == ["0", "0", str(world.user.pw_uid), "1", "1", str(first), str(count)]
    assert user.run("sh", "-c", "id -u; id -g; touch /tmp/x; stat -c %u /tmp/x", options=["--user", "1000:1001"]).split() == ["1000", "1001", "1000"]
    assert user.run("id", "-u", options=["--userns", "keep-id"]).strip() == str(world.user.pw_uid)


def listed(user, box, tries=5):
    """podman top, which gives up where a process ends that it is about to read: the last exec's."""
    try:
        return user.call("top", box)
    except AssertionError as why:
        if tries == 0 or "no such process" not in str(why):
            raise
        return listed(user, box, tries - 1)


def test_a_life(user, box, world):
    with open(f"/proc/{user.pid(box)}/status") as status:
        assert f"Uid:\t{world.user.pw_uid}\t" in status.read()
    assert user.exec(box, "sh", "-c", "id -u; cat /proc/1/comm").split() == ["0", "sh"]
    user.exec(box, "sh", "-c", "exit 9", status=9)
    assert user.exec(box, "id", "-u", options=["--user", "1000"]) == "1000\n"
    assert user.call("logs", box) == "up\n" and "sleep" in listed(user, box)
    user.call("stop", "-t", "20", box)
    assert user.inspect(box, "{{.State.ExitCode}}") == "3"
    user.call("start", box)
    user.call("kill", "-s", "KILL", box)
    assert user.call("wait", box).strip() == "137"
    user.call("restart", box)
    assert user.status(box) == "running"


def test_its_terminal(user):
    with Terminal(rows=20, columns=50) as terminal:
        terminal.launch(user.argv(*user.run_words("--rm", "-it"), "box", "sh", "-c", "tty; trap 'stty size' WINCH; echo ready; until read x; do :; done; echo got $x; exit 5"), user.env)
        terminal.expect(b"/dev/pts/0")
        terminal.expect(b"ready")
        terminal.resize(33, 44)
        terminal.expect(b"33 44")  # which may have interrupted read
        terminal.type(b"word\n")
        terminal.expect(b"got word")
        assert terminal.wait().exit == 5


def test_an_exec_with_a_terminal(user, box):
    with Terminal() as terminal:
        terminal.launch(user.argv("exec", "-it", box, "sh", "-c", "tty; exit 4"), user.env)
        terminal.expect(b"/dev/pts/")
        assert terminal.wait().exit == 4


def test_volumes(user, own, world):
    (own / "given").write_text("given\n")
    out = user.run("sh", "-c", "cat /a/given; touch /a/made; touch /b/x 2>&1; stat -c %u /a/given", options=["-v", f"{own}:/a", "-v", f"{own}:/b:ro"])
    assert out.startswith("given\n") and "Read-only" in out
    assert (own / "made").stat().st_uid == world.user.pw_uid


def test_options(user):
    out = user.run("sh", "-c", "touch /x 2>&1; touch /t/x && echo wrote; grep -E 'NoNewPrivs|CapEff' /proc/self/status; hostname",
                   options=["--read-only", "--tmpfs", "/t", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--hostname", "named"])
    assert "Read-only" in out and "wrote" in out and "named" in out
    assert [word for word in out.split() if set(word) <= set("0123456789abcdef") and len(word) == 16] == ["0" * 16] and "NoNewPrivs:\t1" in out


def test_nothing_of_the_host_is_in_reach(user):
    """Privileged is what the user is, and no more."""
    out = user.run("sh", "-c", "mount -t tmpfs x /mnt && echo mounted; echo 1 > /proc/sys/kernel/panic || echo held; id -u", options=["--privileged"])
    assert out.split() == ["mounted", "held", "0"]


def test_errors(user):
    done = user.call(*user.run_words("--rm"), "box", "/no/such", status=None)
    assert done.returncode == 127 and b"no such file" in done.stderr.lower(), done
    done = user.call(*user.run_words("--rm"), "box", "/bin/not-executable", status=None)
    assert done.returncode == 126, done


def test_twelve_at_once(user):
    with ThreadPoolExecutor(6) as pool:
        names = list(pool.map(lambda _: user.start("sleep", "1000"), range(12)))
        try:
            assert list(pool.map(lambda name: user.exec(name, "cat", "/proc/1/comm"), names)) == ["sleep\n"] * 12
        finally:
            user.remove(*names)
    assert not set(names) & set(user.call("ps", "-aq", "--no-trunc").split())


def test_the_namespaces_of_another(user, box):
    second = user.call("run", "-d", "--network", f"container:{box}", "--ipc", f"container:{box}", "--pid", f"container:{box}", "box", "sleep", "1000").strip()
    try:
        for kind in ("net", "ipc", "pid", "user"):
            assert os.readlink(f"/proc/{user.pid(second)}/ns/{kind}") == os.readlink(f"/proc/{user.pid(box)}/ns/{kind}"), kind
        assert "sleep" in user.exec(box, "ps")
    finally:
        user.remove(second)


def test_a_monitor_that_is_killed(user):
    """conmon: the container lives on, and `rm --force` finds it."""
    name = user.started()
    pid = user.pid(name)
    monitor = int(user.inspect(name, "{{.State.ConmonPid}}"))
    os.kill(monitor, 9)
    poll(lambda: not os.path.exists(f"/proc/{monitor}") or open(f"/proc/{monitor}/stat").read().split()[2] == "Z", 20, "conmon lives")
    assert os.path.exists(f"/proc/{pid}")
    user.call("rm", "-f", name, status=None)
    poll(lambda: not os.path.exists(f"/proc/{pid}") or open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z", 30, "its process lives on")
    user.call("rm", "-f", name, status=None)


def context(world, base, owner="root"):
    """A directory with a Dockerfile."""
    made = world.directory("context", owner=owner)
    (made / "given").write_text("given\n")
    (made / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    return made


def test_build_as_a_user(user, world):
    user.call("build", "--runtime", user.program, "--isolation", "oci", "--network", "none", "--no-cache", "-t", "built", context(world, "box", "user"))
    assert user.run(image="localhost/built").splitlines() == ["given", "made by 0", "held"]
    user.call("rmi", "built")


# buildah

@pytest.fixture(scope="module")
def podman(make_engine):
    return make_engine(Podman)


@pytest.fixture
def buildah(podman):
    """buildah with podman's storage."""
    if not shutil.which("buildah"):
        pytest.fail("buildah is not there: packaging/install-packages.sh test")

    def call(*words, status=0):
        storage = ["--root", podman.engine.directory / "root", "--runroot", podman.engine.run, "--storage-driver", "overlay"]
        argv = [str(word) for word in (*podman.mounts.words(), "buildah", *storage, *words)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=podman.env, cwd="/")
        assert done.returncode == status, f"{done}"
        return done.stdout
    return call


def test_buildah_bud(podman, buildah, world):
    buildah("bud", "--runtime", podman.program, "--isolation", "oci", "--network", "none", "-t", "built", context(world, "box"))
    assert podman.run(image="localhost/built").splitlines() == ["given", "made by 0", "held"]
    podman.call("rmi", "built")


def test_buildah_run(podman, buildah, world):
    """A working container: its steps, their failures, its mounts."""
    name = buildah("from", "box").strip()
    volume = world.directory("volume")
    (volume / "given").write_text("given\n")
    run = ["run", "--runtime", podman.program, "--isolation", "oci", "--network", "none"]
    try:
        assert buildah(*run, name, "--", "sh", "-c", "id -u; echo kept > /srv/kept").split() == ["0"]
        assert buildah(*run, "--user", "1000", "-v", f"{volume}:/v:ro", name, "--", "sh", "-c", "id -u; cat /v/given /srv/kept").split() == ["1000", "given", "kept"]
        buildah(*run, name, "--", "sh", "-c", "exit 7", status=7)
        buildah("commit", "-q", name, "committed")
        assert podman.run("cat", "/srv/kept", image="localhost/committed") == "kept\n"
        podman.call("rmi", "committed")
    finally:
        buildah("rm", name)
