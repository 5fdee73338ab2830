"""Pods of the CRI: made, a container in each started, stopped and removed, by crictl; with runc, with our shim, and of modules by cloisterd.
And what cloisterd does by itself: tasks a second, and a thousand pods at once."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import images
from rig import HERE, BenchError, need_tool

sys.path.insert(0, str(HERE.parent / "tests"))

from lib import cri, cri_images, wasm_module  # noqa: E402
from lib.cloisterd import Daemon  # noqa: E402
from lib.runner import descendants  # noqa: E402

PARTS = ["pods"]
TASKS, AT_ONCE, PODS, IDLE, TURNS, WAIT_S = 10_000, 64, 1_000, 50, 20, 30
HANDLERS = {"runc": ("runc", cri_images.BOX, ["sleep", "1000"]), "cloister's shim": ("shim", cri_images.BOX, ["sleep", "1000"]),
            "cloisterd, containers": ("cloister", cri_images.BOX, ["sleep", "1000"]),
            "cloisterd, modules": ("cloister-wasm", cri_images.WASM, ["rest", "1000"])}
RUNC = """
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
"""


class Runtimes(cri.Controlled):
    """And runc."""

    def configuration(self):
        return super().configuration() + RUNC


def cycle(node, place, handler, image, words):
    """Seconds from `crictl runp` to the end of `crictl rmp`."""
    pod, box = place / f"{handler}.json", place / f"{handler}-box.json"
    pod.write_text(json.dumps({"metadata": {"name": handler, "namespace": "bench", "uid": handler, "attempt": 0}, "log_directory": str(place), "linux": {}}))
    box.write_text(json.dumps({"metadata": {"name": "main", "attempt": 0}, "image": {"image": f"registry.example/{image}"},
                               "command" if image == cri_images.BOX else "args": words, "log_path": "main.log", "linux": {}}))
    began = time.monotonic()
    made = node.crictl("runp", "--runtime", handler, pod).strip()
    container = node.crictl("create", made, box, pod).strip()
    node.crictl("start", container)
    node.crictl("stop", "--timeout", "0", container)
    node.crictl("rm", container)
    node.crictl("stopp", made)
    node.crictl("rmp", made)
    return time.monotonic() - began


def cycles(rig, place):
    times = {name: [] for name in HANDLERS}
    with cri.ControlledCri(place / "cri", Runtimes(rig.cloister.parent / "containerd-shim-cloister-v2")) as node:
        for image in (cri_images.BOX, cri_images.WASM):
            node.crictl("pull", f"registry.example/{image}")
        for turn in range(TURNS + 1):
            for name, row in HANDLERS.items():
                took = cycle(node, place, *row)
                if turn > 0:  # the first fills caches
                    times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


def build_load(out):
    source = HERE / "task_load.c"
    return images.build(out, "task_load", [need_tool("gcc"), "-O2", "-Wall", "-Wextra", source], [source])


@contextlib.contextmanager
def daemon(place, *options):
    place.mkdir()
    made = Daemon(place, "--guests", "2000", "--memory", "1g", *options, events=False)
    with made.events:
        made.start()
        try:
            yield made
        finally:
            made.stop()


def rate(load, place, turns):
    """Tasks that a service of modules made, started, waited for and removed in a second."""
    module = place.with_name("empty.wasm")
    module.write_bytes(wasm_module.command(b""))
    found = []
    with daemon(place) as one:
        bundle = one.bundle("one", module)
        for _ in range(turns + 1):
            done = subprocess.run([load, one.tasks, one.space, bundle, str(TASKS), str(AT_ONCE)], capture_output=True, text=True, timeout=WAIT_S * 4)
            if done.returncode != 0:
                raise BenchError(done.stderr.strip())
            found.append(float(done.stdout))
    return statistics.median(found[1:])


def pss_kib(pid):
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))


def thousand(place, guest):
    """KiB of all that is Cloister's with so many pods, each with a module that rests."""
    with daemon(place) as one:
        caller = one.caller()
        for number in range(PODS):
            name = f"{number:064x}"
            caller.pod("Create", {1: name, 6: {2: {2: {1: "runtimeoptions.v1.Options", 2: {3: 'wall = "wasm"'}}}}})
            caller.pod("Start", {1: name})
            caller.run(f"c{number}", one.bundle(f"b{number}", guest, "rest", "1000", pod=name))
        return sum(pss_kib(pid) for pid in {one.process.pid, *descendants(one.process.pid)})


# Of the CRI's PodSandboxConfig: a name, and the node's network.
CONFIG = {1: {1: "one", 3: "bench"}, 8: {2: {1: {1: 2}}}}


def fifty(place):
    """KiB (PSS) of the controller with idle pods of containers, and of what each pod has besides."""
    with daemon(place) as one:
        caller = one.caller()
        names = [f"{number:064x}" for number in range(IDLE)]
        for name in names:
            caller.pod("Create", {1: name, 3: {1: "runtime.v1.PodSandboxConfig", 2: CONFIG}})
            caller.pod("Start", {1: name})
        found = {"controller_kib": pss_kib(one.process.pid)}
        found["each_kib"] = sum(pss_kib(pid) for pid in inhabitants(names)) / IDLE
        for name in names:
            caller.pod("Stop", {1: name})
            caller.pod("Shutdown", {1: name})
    return found


def inhabitants(names):
    """The shims of pods, and the processes that hold those."""
    shims = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            words = entry.read_bytes().decode(errors="replace").split("\0")
            if words[0].endswith("containerd-shim-cloister-v2") and "serve" in words and set(words) & set(names):
                shims.add(int(entry.parent.name))
    return shims | {pid for shim in shims for pid in descendants(shim)}


def pods(rig, turns):
    if not os.access(rig.cloister.parent / "cloisterd", os.X_OK):
        raise BenchError("cloisterd is not built")
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="cloister-bench-") as directory:
        place = Path(directory)
        found = {"tasks_per_second": rate(build_load(rig.out), place / "rate", turns)}
        guest = place / "guest.wasm"
        subprocess.run([need_tool("clang"), "--target=wasm32-wasi", "-O1", "-o", guest, HERE.parent / "tests/wasm/guest.c"], check=True)
        guest.chmod(0o755)
        found["fifty"] = fifty(place / "fifty")
        found["thousand_kib"] = thousand(place / "thousand", guest)
        found["cycles_s"] = cycles(rig, place)
    return found


def targets(data):
    mine = data.get("pods", {})
    times = mine.get("cycles_s", {})

    def ratio(name):
        return times[name] / times["runc"] if name in times else None

    return [
        ("a pod's life by crictl, cloister's shim / runc's", ratio("cloister's shim"), "<=", 0.8),
        ("the same, of cloisterd's", ratio("cloisterd, containers"), "<=", 0.8),
        ("a pod of a module, cloisterd / runc's of a container", ratio("cloisterd, modules"), "<=", 0.6),
        ("cloisterd: tasks of modules a second", mine.get("tasks_per_second"), ">=", 2000),
        ("cloisterd with 50 idle pods of containers, MiB (PSS)", mine["fifty"]["controller_kib"] / 1024 if "fifty" in mine else None, "<=", 8),
        ("each of those: its shim and cloister-pod, MiB (PSS)", mine["fifty"]["each_kib"] / 1024 if "fifty" in mine else None, "<=", 0.5),
        ("cloisterd: 1,000 pods of modules, MiB (PSS)", mine["thousand_kib"] / 1024 if "thousand_kib" in mine else None, "<=", 60),
    ]


def tables(data):
    mine = data.get("pods", {})
    rows = [[name, f"{value * 1000:.0f}"] for name, value in mine.get("cycles_s", {}).items()]
    return [("A pod and a container: runp, create, start, stop, rm, stopp, rmp by crictl", ["runtime", "ms"], rows)] if rows else []
