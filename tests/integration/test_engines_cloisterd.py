"""containerd 2 and the CRI with cloisterd as the sandbox controller of the runtime cloister-wasm, as docs/containerd.md has it."""

import json
import re
import signal

import pytest

from lib import cri_images, oci
from lib.cri import SHIMS_MANUAL, Cri, Shim
from lib.patience import patience
from lib.runner import poll
from lib.service import Service

PROGRAMS = oci.REPOSITORY / "build/bin"
WASM = f"registry.example/{cri_images.WASM}"
HANDLER = "cloister-wasm"


class Controlled(Shim):
    """The manual's runtime for modules, beside that of ordinary containers."""

    def configuration(self):
        section = SHIMS_MANUAL.read_text(encoding="utf-8").split("## cloisterd", 1)[1]
        return super().configuration() + re.search(r"```toml\n(.*?)```", section, re.DOTALL).group(1)


class Node(Cri):
    """containerd and cloisterd."""

    def start(self):
        self.serve()
        super().start()

    def serve(self):
        env = {**self.env, "PATH": f"{PROGRAMS}:{self.env['PATH']}"}
        self.daemon = Service([PROGRAMS / "cloisterd"], self.place / "cloisterd.log", env=env, prefix=self.inside)
        self.daemon.expect("serving at")

    def stop(self):
        try:
            super().stop()
        finally:
            self.daemon.stop()


@pytest.fixture(scope="module")
def cri(world):
    with Node(world.directory("cri-cloisterd"), Controlled(PROGRAMS / "containerd-shim-cloister-v2")) as made:
        made.crictl("pull", WASM)
        yield made


@pytest.fixture
def pod(cri, tmp_path):
    made = make_pod(cri, tmp_path)
    yield made
    cri.crictl("rmp", "-f", made[0])


def make_pod(cri, place, name="wasm", namespace="default"):
    path = place / f"{name}.json"
    path.write_text(json.dumps({"metadata": {"name": name, "namespace": namespace, "uid": name, "attempt": 0}, "log_directory": str(place), "linux": {}}))
    return cri.crictl("runp", "--runtime", HANDLER, path).strip(), path


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
    Cri.start(cri)
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
