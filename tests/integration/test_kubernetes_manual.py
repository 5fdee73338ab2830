"""docs/kubernetes.md: its manifests and tables are what containerd 2 takes, and its pods are what it says."""

import json
import re
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from lib import cri_images, oci
from lib.cri import ControlledCri, Shim
from lib.patience import patience
from lib.runner import poll

PAGE = (oci.REPOSITORY / "docs/kubernetes.md").read_text(encoding="utf-8")
MADE = {"registry.example/tests/box:1": cri_images.BOX, "registry.example/tests/wasm:1": cri_images.WASM}


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def manifests():
    return [one for block in blocks("yaml") for one in yaml.safe_load_all(block)]


def named(kind, name):
    found, = (one for one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def runtimes(block):
    """Of a block of the configuration: the table of each handler."""
    plugins = tomllib.loads(block)["plugins"]
    (name, plugin), = plugins.items()
    assert name in ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri")
    return plugin["containerd"]["runtimes"]


class Page(Shim):
    """The block for containerd 2."""

    def configuration(self):
        return blocks("toml")[0]


@pytest.fixture(scope="module")
def cri(world):
    with ControlledCri(world.directory("cri-kubernetes"), Page(oci.REPOSITORY / "build/bin/containerd-shim-cloister-v2")) as made:
        for image in MADE:
            made.crictl("pull", image)
        yield made


@pytest.fixture
def apply(cri, tmp_path):
    """Makes a pod of the page as a kubelet does: its id, and its first container's."""
    made = []

    def apply(name, noted=None, **changes):
        pod, place = named("Pod", name), tmp_path / name
        place.mkdir()
        handler, = (one["handler"] for one in manifests() if one["kind"] == "RuntimeClass" and one["metadata"]["name"] == pod["spec"]["runtimeClassName"])
        path, config = place / "pod.json", place / "container.json"
        path.write_text(json.dumps({"metadata": {"name": name, "namespace": "default", "uid": name, "attempt": 0}, "log_directory": str(place), "linux": {},
                                    "annotations": noted or pod["metadata"].get("annotations", {})}))
        made.append(cri.crictl("runp", "--runtime", handler, path).strip())
        spec, = pod["spec"]["containers"]
        limits = spec.get("resources", {}).get("limits", {})
        resources = {"memory_limit_in_bytes": int(limits["memory"].removesuffix("Mi")) << 20} if limits else {}
        if "cpu" in limits:
            resources |= {"cpu_period": 100_000, "cpu_quota": int(limits["cpu"].removesuffix("m")) * 100}
        config.write_text(json.dumps({"metadata": {"name": spec["name"], "attempt": 0}, "image": {"image": spec["image"]}, "log_path": "log",
                                      "command": spec.get("command", []), "args": spec.get("args", []),
                                      "linux": {"resources": resources, "security_context": {"namespace_options": {"pid": 1}}}, **changes}))
        box = cri.crictl("create", made[-1], config, path).strip()
        return made[-1], box
    yield apply
    for pod in made:
        cri.crictl("rmp", "-f", pod)


def status(cri, box):
    return json.loads(cri.crictl("inspect", box))["status"]


# --- the page alone

def test_manifests():
    """Each has what its kind needs, and names a class, a handler, that there is."""
    classes = {one["metadata"]["name"]: one["handler"] for one in manifests() if one["kind"] == "RuntimeClass"}
    assert classes == {"cloister": "cloister", "cloister-wasm": "cloister-wasm"}
    pods = [one for one in manifests() if one["kind"] == "Pod"]
    assert len(pods) == 3 and len(manifests()) == 5
    for pod in pods:
        assert pod["apiVersion"] == "v1" and pod["spec"]["runtimeClassName"] in classes and all(one["image"] in MADE for one in pod["spec"]["containers"])
        assert all(isinstance(value, str) for value in pod["metadata"].get("annotations", {}).values())


def test_handlers_are_configured():
    first, older = map(runtimes, blocks("toml"))
    assert {one["handler"] for one in manifests() if one["kind"] == "RuntimeClass"} == set(first) and set(older) == {"cloister"}
    assert {one["runtime_type"] for table in (first, older) for one in table.values()} == {"io.containerd.cloister.v2"}
    assert first["cloister"]["pod_annotations"] == first["cloister-wasm"]["pod_annotations"] == older["cloister"]["pod_annotations"] == ["run.cloister.*"]


def test_messages_are_the_programs():
    """Those that are ours stand in the sources as in the table."""
    sources = "".join(path.read_text(encoding="utf-8") for place in ("cmd/cloisterd", "containerd", "walls/container") for path in (oci.REPOSITORY / "src" / place).glob("*.c"))
    sources = re.sub(r'"\s*\n\s*"', "", sources)
    for said in ("there is no wall", "there is none of that name; wall, ", "there is none of that name", "modules that share a worker have no files of their own",
                 "is a component (WASI 0.2), which shares no worker", "a WebAssembly module has no second process"):
        assert said in sources and said in PAGE, said


# --- and with a containerd

def test_runtimes_are_found(cri):
    assert {"cloister", "cloister-wasm"} <= set(json.loads(cri.crictl("info"))["config"]["containerd"]["runtimes"])


def test_a_pod_of_a_container(cri, apply):
    _, box = apply("one")
    cri.crictl("start", box)
    poll(lambda: cri.crictl("logs", box) == "up\n", patience(20), lambda: cri.crictl("logs", box))
    pid = json.loads(cri.crictl("inspect", box))["info"]["pid"]
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert "containerd-shim" in Path(f"/proc/{parent}/comm").read_text()
    assert cri.crictl("exec", box, "echo", "in") == "in\n"


def test_a_pod_of_a_module(cri, apply):
    _, box = apply("module")
    cri.crictl("start", box)
    poll(lambda: status(cri, box)["state"] == "CONTAINER_EXITED", patience(20), lambda: status(cri, box))
    poll(lambda: cri.crictl("logs", box) == "[hello]\n", patience(20), lambda: cri.crictl("logs", box))
    assert status(cri, box)["exitCode"] == 0


def test_a_security_context_of_a_module(cri, apply):
    """Nothing becomes of it."""
    context = {"run_as_user": {"value": 1000}, "supplemental_groups": [2000], "readonly_rootfs": True, "no_new_privs": True, "seccomp": {"profile_type": 0},
               "capabilities": {"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["CHOWN"]}}
    _, box = apply("module", args=["exit", "5"], linux={"security_context": context, "resources": {"cpu_shares": 512}})
    cri.crictl("start", box)
    poll(lambda: status(cri, box)["state"] == "CONTAINER_EXITED", patience(20), lambda: status(cri, box))
    assert status(cri, box)["exitCode"] == 5


def filters(cri, box):
    """How many system call filters a process there has."""
    return int(re.search(r"Seccomp_filters:\s*(\d+)", cri.crictl("exec", box, "cat", "/proc/self/status")).group(1))


def test_annotations_take_effect(cri, apply):
    (_, plain), (_, strict) = apply("one"), apply("strict")
    for box in (plain, strict):
        cri.crictl("start", box)
    assert filters(cri, strict) == filters(cri, plain) + 1
    told = json.loads(cri.crictl("inspect", strict))["info"]["runtimeSpec"]["annotations"]
    assert told["run.cloister.landlock"] == "on" and told["run.cloister.seccomp"] == "strict"


@pytest.mark.parametrize("name, changes, words", [
    ("module", {"mounts": [{"container_path": "/var/run/secrets/kubernetes.io/serviceaccount", "host_path": "/tmp"}]}, ["automountServiceAccountToken: false"]),
    ("one", {"annotations": {"run.cloister.what": "x"}}, ["annotations.run.cloister.what: there is none of that name"]),
])
def test_what_is_refused(cri, apply, name, changes, words):
    """The message is the container's, which a kubelet shows."""
    _, box = apply(name, **changes)
    cri.crictl("start", box, status=1)
    assert all(word in status(cri, box)["message"] for word in words), status(cri, box)


def test_a_container_beside_modules(cri, apply):
    """An ordinary one, as a mesh's proxy is; what is said of the pod's modules isn't of it."""
    _, box = apply("module", {"run.cloister.wall": "wasm", "run.cloister.wasm-model": "process"}, image={"image": "registry.example/tests/box:1"}, command=["sleep"], args=["1000"])
    cri.crictl("start", box)
    assert cri.crictl("exec", box, "echo", "in") == "in\n"


def test_a_limit_of_time_for_a_pods_modules(cri, apply):
    _, box = apply("module", {"run.cloister.time-limit": "100ms"}, args=["rest", "1000000"])
    cri.crictl("start", box)
    poll(lambda: status(cri, box)["state"] == "CONTAINER_EXITED", patience(20), lambda: status(cri, box))
    assert status(cri, box)["exitCode"] == 137


def test_a_module_with_a_share_of_the_processors(cri, apply):
    _, box = apply("module", args=["rest", "1000000"], linux={"resources": {"cpu_period": 100_000, "cpu_quota": 50_000}})
    cri.crictl("start", box)
    pid = json.loads(cri.crictl("inspect", box))["info"]["pid"]
    assert box in Path(f"/proc/{pid}/cgroup").read_text()


def test_an_exec_into_a_module(cri, apply):
    """Nor an exec probe, which is the same call; nor are its limits changed. SIGTERM ends it."""
    _, box = apply("module", args=["rest", "1000000"])
    cri.crictl("start", box)
    assert status(cri, box)["state"] == "CONTAINER_RUNNING"
    cri.crictl("exec", "-s", box, "true", status=1)
    cri.crictl("update", "--memory", str(32 << 20), box, status=1)
    assert status(cri, box)["state"] == "CONTAINER_RUNNING"
    cri.crictl("stop", "--timeout", "20", box)
    assert status(cri, box)["exitCode"] == 143


@pytest.fixture
def attempt(cri, tmp_path):
    """What comes of a pod: crictl's end."""
    path = tmp_path / "pod.json"

    def attempt(handler, **annotations):
        path.write_text(json.dumps({"metadata": {"name": "none", "namespace": "default", "uid": "none", "attempt": 0}, "linux": {}, "annotations": annotations}))
        return subprocess.run(cri.words("crictl", "runp", "--runtime", handler, path), env=cri.env, capture_output=True, text=True, timeout=patience(60), cwd="/")
    return attempt


def test_pods_that_there_are_not(attempt):
    for said, handler, annotations in (('no runtime for "nobody" is configured', "nobody", {}),
                                       ("annotation run.cloister.what: there is none of that name; wall, ", "cloister-wasm", {"run.cloister.what": "x"}),
                                       ('run.cloister.wall: there is no wall "vm": container or wasm', "cloister-wasm", {"run.cloister.wall": "vm"})):
        done = attempt(handler, **annotations)
        assert done.returncode == 1 and said in done.stderr.replace('\\"', '"'), done


def test_without_cloisterd(cri, apply, attempt):
    """Pods of modules have to wait for it, and for containerd to look for it again; those of containers don't."""
    cri.daemon.process.send_signal(signal.SIGKILL)
    cri.daemon.process.wait(patience(20))
    try:
        done = attempt("cloister-wasm")
        assert done.returncode == 1 and "/run/cloisterd/cloisterd.sock: connect: " in done.stderr, done
        cri.crictl("start", apply("one")[1])
    finally:
        cri.serve()
    pods = []
    poll(lambda: (pods.append(attempt("cloister-wasm")) or pods[-1]).returncode == 0, 30, "containerd to find it again")
    cri.crictl("rmp", "-f", pods[-1].stdout.strip())
