"""create --pod-files: what all containers of a pod have in common, where a bundle says nothing else."""

import os
import subprocess

import pytest

from lib import oci

FILES = {"hosts": "/etc/hosts", "hostname": "/etc/hostname", "resolv.conf": "/etc/resolv.conf"}
SHOW = "cat /etc/hosts /etc/hostname /etc/resolv.conf"


@pytest.fixture(autouse=True)
def ours(oci_program):
    if oci_program.name in oci.REFERENCES:
        pytest.skip("an option of our own")


@pytest.fixture
def files(anyone):
    """A pod's, all of them."""
    place = anyone.directory("pod", mode=0o755)
    for name in FILES:
        (place / name).write_text(f"the pod's {name}\n")
        os.chown(place / name, anyone.uid, anyone.gid)
    (place / "shm").mkdir()
    for path in (place, place / "shm"):
        os.chown(path, anyone.uid, anyone.gid)
    return place


def flags(place):
    return ["--pod-files", str(place)]


def test_they_are_there(anyone, files):
    bundle = anyone.bundle(own_rootfs=True).sh(f"{SHOW}; echo x > /dev/shm/x; echo more >> /etc/hosts; echo ---; cat /proc/self/mountinfo")
    out, _, mounts = anyone.output(bundle, *flags(files)).partition("---\n")
    assert out == "".join(f"the pod's {name}\n" for name in FILES)
    assert (files / "shm/x").read_text() == "x\n" and (files / "hosts").read_text() == "the pod's hosts\nmore\n"
    for where in (*FILES.values(), "/dev/shm"):
        mount = oci.mount_at(mounts, where)
        assert {"nosuid", "nodev", "noexec"} <= set(mount.options), mount


def test_those_that_there_are(anyone, files):
    """The rest is the image's, and memory of its own."""
    for name in ("hosts", "hostname"):
        (files / name).unlink()
    (files / "shm").rmdir()
    bundle = anyone.bundle(own_rootfs=True).sh("cat /etc/resolv.conf; test -s /etc/hosts || echo none; echo x > /dev/shm/x; echo ---; cat /proc/self/mountinfo")
    out, _, mounts = anyone.output(bundle, *flags(files)).partition("---\n")
    assert out == "the pod's resolv.conf\nnone\n" and oci.mount_at(mounts, "/dev/shm").kind == "tmpfs"


def test_the_bundles_own_go_before(anyone, files):
    """Also where the bundle writes them with a slash at the end; memory that is bound isn't what engines give to all."""
    other = anyone.directory("other")
    for name in ("hosts", "shm"):
        (other / name).mkdir() if name == "shm" else (other / name).write_text("its own\n")
        os.chown(other / name, anyone.uid, anyone.gid)
    bundle = anyone.bundle(own_rootfs=True).mount("/etc/hosts", other / "hosts", "bind")
    bundle.config["mounts"] = [mount for mount in bundle.config["mounts"] if mount["destination"] != "/dev/shm"]
    bundle.mount("/dev/shm/", other / "shm", "rbind")
    out = anyone.output(bundle.sh(f"{SHOW}; echo x > /dev/shm/x"), *flags(files))
    assert out == "its own\nthe pod's hostname\nthe pod's resolv.conf\n"
    assert (other / "shm/x").exists() and not (files / "shm/x").exists()


def test_a_read_only_root_has_read_only_files(anyone, files):
    bundle = anyone.bundle(own_rootfs=True).set("root.readonly", True).sh("echo x >> /etc/hosts || echo refused; echo x > /dev/shm/x")
    assert "refused\n" in anyone.output(bundle, *flags(files)) and (files / "shm/x").exists()


def test_what_is_misuse(anyone, files):
    def refused(*needles, place=files):
        anyone.refused(anyone.try_create(anyone.bundle(own_rootfs=True), *flags(place)), "--pod-files", *needles)

    refused("no absolute path", place="pod")
    refused("open", place=files / "none")
    refused("open", place=files / "hosts")
    link = anyone.directory("links") / "link"
    link.symlink_to(files)
    refused("open", place=link)
    files.chmod(0o775)
    refused("nobody else may write")
    files.chmod(0o755)
    stranger = 12345
    os.chown(files, stranger, stranger)
    refused("the caller's own")
    os.chown(files, anyone.uid, anyone.gid)
    (files / "hostname").unlink()
    (files / "hostname").symlink_to("/etc/shadow")
    refused("hostname")
    (files / "hostname").unlink()
    (files / "hostname").mkdir()
    refused("hostname")


# --- --pod-process: namespaces of who stands for a pod are those of who holds it

NOBODY = 4194303  # no process has that number: it is the most that there can be


@pytest.fixture
def holder():
    process = subprocess.Popen(["unshare", "--uts", "sh", "-c", "hostname of-the-pod; echo ready; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    yield process.pid
    process.communicate()


def joining(runtime, pid):
    bundle = runtime.bundle(own_rootfs=True).sh("readlink /proc/self/ns/uts; hostname")
    bundle.config.pop("hostname", None)
    return bundle.namespace("uts", f"/proc/{pid}/ns/uts")


def test_namespaces_are_joined_by_another_number(runtime, holder):
    out = runtime.output(joining(runtime, NOBODY), "--pod-process", f"{NOBODY}:{holder}")
    assert out.split() == [os.readlink(f"/proc/{holder}/ns/uts"), "of-the-pod"]
    assert runtime.output(joining(runtime, holder), "--pod-process", f"{NOBODY}:1").split()[1] == "of-the-pod"


@pytest.mark.parametrize("words", ["", "1", "1:", ":1", "x:1", "1:x", "0:1", "1:0", "-1:1", "99999999999999999999999999:1"])
def test_what_are_no_two_processes(runtime, holder, words):
    runtime.refused(runtime.try_create(joining(runtime, holder), "--pod-process", words), "--pod-process", "OLD:NEW")


# --- the annotation that says which wall

def test_there_is_the_wall_container_alone(runtime):
    assert runtime.output(runtime.bundle().annotate(run_cloister_wall="container").sh("echo in")) == "in\n"
    runtime.refused(runtime.try_create(runtime.bundle().annotate(run_cloister_wall="wasm")), "run.cloister.wall", "cloisterd")


def test_of_a_pod_of_modules_it_speaks_of_these(runtime, holder):
    bundle = joining(runtime, NOBODY).annotate(run_cloister_wall="wasm", other="x")
    assert runtime.output(bundle, "--pod-process", f"{NOBODY}:{holder}").split()[1] == "of-the-pod"
