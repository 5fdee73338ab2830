"""containerd 2 and the CRI with cloisterd as the sandbox controller of the runtime cloister-wasm, as docs/containerd.md has it."""

import json
import os
import signal
from pathlib import Path

import pytest

from lib import cri_images, oci
from lib.cri import Controlled, ControlledCri, Cri
from lib.patience import patience
from lib.runner import poll

PROGRAMS = oci.REPOSITORY / "build/bin"
WASM = f"registry.example/{cri_images.WASM}"
HANDLER, ORDINARY = "cloister-wasm", "cloister"


@pytest.fixture(scope="module")
def cri(world):
    with ControlledCri(world.directory("cri-cloisterd"), Controlled(PROGRAMS / "containerd-shim-cloister-v2")) as made:
        for image in (WASM, made.box):
            made.crictl("pull", image)
        yield made


@pytest.fixture
def pod(cri, tmp_path):
    made = make_pod(cri, tmp_path)
    yield made
    cri.crictl("rmp", "-f", made[0])


def make_pod(cri, place, name="wasm", namespace="default", handler=HANDLER):
    path = place / f"{name}.json"
    path.write_text(json.dumps({"metadata": {"name": name, "namespace": namespace, "uid": name, "attempt": 0}, "log_directory": str(place), "linux": {}}))
    return cri.crictl("runp", "--runtime", handler, path).strip(), path


def container(cri, pod, *words, name="main", **more):
    made, config = pod
    path = config.with_name(f"{name}.json")
    path.write_text(json.dumps({"metadata": {"name": name, "attempt": 0}, "image": {"image": WASM}, "args": list(words), "log_path": f"{name}.log",
                                "linux": {}, **more}))
    box = cri.crictl("create", made, path, config).strip()
    cri.crictl("start", box)
    return box


def status(cri, box):
    return json.loads(cri.crictl("inspect", box))["status"]


def ended(cri, box):
    poll(lambda: status(cri, box)["state"] == "CONTAINER_EXITED", patience(20), lambda: status(cri, box))
    return status(cri, box)["exitCode"]


def test_a_module(cri, pod):
    box = container(cri, pod, "args", "a", "b c")
    assert ended(cri, box) == 0
    poll(lambda: cri.crictl("logs", box) == "[a]\n[b c]\n", patience(20), lambda: cri.crictl("logs", box))
    assert box[:13] in cri.crictl("ps", "-a") and pod[0][:13] in cri.crictl("pods", "--state", "ready")
    cri.crictl("rm", box)
    assert box[:13] not in cri.crictl("ps", "-a")


@pytest.mark.parametrize("words, code", [(["exit", "7"], 7), (["trap", "u"], 134)])
def test_exit_statuses(cri, pod, words, code):
    assert ended(cri, container(cri, pod, *words)) == code


def test_one_that_is_stopped(cri, pod):
    box = container(cri, pod, "rest", "1000")
    assert status(cri, box)["state"] == "CONTAINER_RUNNING"
    poll(lambda: json.loads(cri.crictl("stats", "-o", "json", "--id", box))["stats"][0].get("memory", {}).get("workingSetBytes", {}).get("value", "0") != "0",
         patience(20), lambda: cri.crictl("stats", "-o", "json", "--id", box))
    cri.crictl("stop", "--timeout", "20", box)
    assert status(cri, box)["exitCode"] == 128 + signal.SIGTERM


def test_a_pod_has_its_network_and_ends(cri, tmp_path):
    pod = make_pod(cri, tmp_path, "net")
    told = json.loads(cri.crictl("inspectp", pod[0]))
    assert told["status"]["state"] == "SANDBOX_READY" and told["status"]["network"]["ip"].startswith("10.99.0.")
    box = container(cri, pod, "rest", "1000")
    cri.crictl("stopp", pod[0])
    assert ended(cri, box) == 128 + signal.SIGKILL or status(cri, box)["exitCode"] == 128 + signal.SIGTERM
    assert json.loads(cri.crictl("inspectp", pod[0]))["status"]["state"] == "SANDBOX_NOTREADY"
    cri.crictl("rmp", pod[0])
    assert pod[0][:13] not in cri.crictl("pods")


def test_what_cannot_be_kept_is_said(cri, pod):
    made, config = pod
    path = config.with_name("refused.json")
    path.write_text(json.dumps({"metadata": {"name": "refused", "attempt": 0}, "image": {"image": WASM}, "linux": {},
                                "mounts": [{"container_path": "/data", "host_path": "/tmp"}]}))
    box = cri.crictl("create", made, path, config).strip()
    cri.crictl("start", box, status=1)
    assert "/data" in status(cri, box)["message"]


def test_containerd_comes_back(cri, pod):
    box = container(cri, pod, "rest", "1000")
    cri.kill()
    Cri.start(cri)  # containerd alone
    assert status(cri, box)["state"] == "CONTAINER_RUNNING"
    cri.crictl("stop", "--timeout", "20", box)
    assert status(cri, box)["exitCode"] == 128 + signal.SIGTERM


def test_cloisterd_comes_back(cri, pod):
    """What it ran has ended, and the pod goes on."""
    box = container(cri, pod, "rest", "1000")
    cri.daemon.process.send_signal(signal.SIGKILL)
    cri.daemon.process.wait(patience(20))
    cri.serve()
    assert ended(cri, box) == 255  # the CRI's, of a task whose service has gone
    assert json.loads(cri.crictl("inspectp", pod[0]))["status"]["state"] == "SANDBOX_READY"
    assert ended(cri, container(cri, pod, "exit", "3", name="again")) == 3


# --- pods of ordinary containers

@pytest.fixture
def ordinary(cri, tmp_path):
    made = make_pod(cri, tmp_path, "ordinary", handler=ORDINARY)
    yield made
    cri.crictl("rmp", "-f", made[0])


def ordinary_container(cri, pod, *words, name="main"):
    made, config = pod
    path = config.with_name(f"{name}.json")
    path.write_text(json.dumps({"metadata": {"name": name, "attempt": 0}, "image": {"image": cri.box}, "command": list(words), "log_path": f"{name}.log",
                                "linux": {}}))
    box = cri.crictl("create", made, path, config).strip()
    cri.crictl("start", box)
    return box


def test_an_ordinary_pod(cri, ordinary):
    first = ordinary_container(cri, ordinary, "sh", "-c", "echo up; hostname; exec sleep 1000")
    poll(lambda: cri.crictl("logs", first).startswith("up\n"), patience(20), lambda: cri.crictl("logs", first))
    second = ordinary_container(cri, ordinary, "sleep", "1000", name="second")
    assert cri.crictl("exec", first, "cat", "/proc/1/comm") == "cloister-pod\n"  # processes are the pod's, as the CRI has it when nothing else is said
    assert cri.crictl("exec", first, "readlink", "/proc/self/ns/net") == cri.crictl("exec", second, "readlink", "/proc/self/ns/net")
    told = json.loads(cri.crictl("inspectp", ordinary[0]))
    assert told["status"]["state"] == "SANDBOX_READY" and told["status"]["network"]["ip"].startswith("10.99.0.")
    cri.crictl("stop", "--timeout", "0", second)
    cri.crictl("stopp", ordinary[0])
    assert status(cri, first)["state"] == "CONTAINER_EXITED"
    assert json.loads(cri.crictl("inspectp", ordinary[0]))["status"]["state"] == "SANDBOX_NOTREADY"


def test_an_ordinary_pod_leaves_nothing(cri, tmp_path):
    pod = make_pod(cri, tmp_path, "gone", handler=ORDINARY)
    ordinary_container(cri, pod, "sleep", "1000")
    cri.crictl("rmp", "-f", pod[0])
    poll(lambda: not places(cri, pod), patience(20), lambda: places(cri, pod))


def places(cri, pod):
    """What cloisterd keeps of a pod, in its namespace's /run."""
    return cri.inside_call("find", "/run/cloisterd", "-name", f"*{pod[0]}*").split()


def test_ordinary_pods_outlive_cloisterd(cri, ordinary):
    box = ordinary_container(cri, ordinary, "sleep", "1000")
    cri.daemon.process.send_signal(signal.SIGKILL)
    cri.daemon.process.wait(patience(20))
    assert cri.crictl("exec", box, "echo", "on") == "on\n"
    cri.serve()
    assert status(cri, box)["state"] == "CONTAINER_RUNNING"
    assert json.loads(cri.crictl("inspectp", ordinary[0]))["status"]["state"] == "SANDBOX_READY"
    another = ordinary_container(cri, ordinary, "sleep", "1000", name="another")
    assert cri.crictl("exec", another, "echo", "on") == "on\n"


def is_shim_of(cmdline, pod):
    try:
        words = cmdline.read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended
    return words[0].endswith(b"containerd-shim-cloister-v2") and pod.encode() in words and b"serve" in words


def test_an_ordinary_pod_whose_shim_is_killed(cri, ordinary):
    """It has ended, which is found out; and it can be removed."""
    box = ordinary_container(cri, ordinary, "sleep", "1000")
    shim, = (entry.parent.name for entry in Path("/proc").glob("[0-9]*/cmdline") if is_shim_of(entry, ordinary[0]))
    os.kill(int(shim), signal.SIGKILL)
    poll(lambda: status(cri, box)["state"] == "CONTAINER_EXITED", patience(20), lambda: status(cri, box))
    poll(lambda: json.loads(cri.crictl("inspectp", ordinary[0]))["status"]["state"] == "SANDBOX_NOTREADY", patience(20), "the pod to end")


# --- ordinary containers in pods of modules

def test_a_side_car(cri, tmp_path):
    """Behind the container wall, in the pod's network, beside modules; and they end with the pod."""
    pod = make_pod(cri, tmp_path, "mixed")
    module = container(cri, pod, "rest", "1000")
    beside = ordinary_container(cri, pod, "sh", "-c", "echo up; hostname -i; exec sleep 1000", name="beside")
    told = json.loads(cri.crictl("inspectp", pod[0]))["status"]["network"]["ip"]
    assert told in cri.crictl("exec", beside, "sh", "-c", "ip address 2>/dev/null || ifconfig")
    assert cri.crictl("exec", beside, "cat", "/proc/1/comm") == "cloister-pod\n"
    poll(lambda: cri.crictl("logs", beside).startswith("up\n"), patience(20), lambda: cri.crictl("logs", beside))
    assert [status(cri, box)["state"] for box in (module, beside)] == ["CONTAINER_RUNNING"] * 2
    another = ordinary_container(cri, pod, "sh", "-c", "exit 7", name="another")
    assert ended(cri, another) == 7
    cri.crictl("rm", another)
    assert json.loads(cri.crictl("stats", "-o", "json", "--id", beside))["stats"][0]["attributes"]["id"] == beside
    cri.crictl("stopp", pod[0])
    assert ended(cri, module) == 128 + signal.SIGKILL or ended(cri, module) == 128 + signal.SIGTERM
    assert ended(cri, beside) in (128 + signal.SIGKILL, 128 + signal.SIGTERM)
    cri.crictl("rmp", pod[0])
    poll(lambda: not places(cri, pod), patience(20), lambda: places(cri, pod))


def test_a_side_car_that_cannot_run(cri, pod):
    made, config = pod
    path = config.with_name("none.json")
    path.write_text(json.dumps({"metadata": {"name": "none", "attempt": 0}, "image": {"image": cri.box}, "command": ["/no/such/program"], "linux": {}}))
    box = cri.crictl("create", made, path, config).strip()
    cri.crictl("start", box, status=1)
    assert "no/such/program" in status(cri, box)["message"]
    assert ended(cri, container(cri, pod, "exit", "3", name="still")) == 3


def test_side_cars_outlive_cloisterd(cri, pod):
    """The container goes on with its shim; that containerd asked for it by the daemon it is told, as of any whose service has gone."""
    beside = ordinary_container(cri, pod, "sleep", "1000", name="beside")
    cri.daemon.process.send_signal(signal.SIGKILL)
    cri.daemon.process.wait(patience(20))
    cri.serve()
    assert ended(cri, beside) == 255
    again = ordinary_container(cri, pod, "sleep", "1000", name="again")
    assert cri.crictl("exec", again, "echo", "on") == "on\n"
