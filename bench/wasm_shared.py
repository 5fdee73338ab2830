"""Many modules in one worker (`cloister wasm serve`): how many a second, what one that waits costs, what one that spins costs others."""

import contextlib
import json
import os
import resource
import secrets
import statistics
import time
from pathlib import Path

import images
from commands import call
from rig import HERE, BenchError, need_tool

from lib import wasm_worker as wire

TOP = HERE.parent
GCC = ["-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", f"-I{TOP}/src", f"-I{TOP}"]
WRAPS = ["-Wl,--wrap=open64", "-Wl,--wrap=getaddrinfo,--wrap=getpwuid_r,--defsym=__wrap_getaddrinfo=abort,--defsym=__wrap_getpwuid_r=abort"]
PARKED, BESIDE, RATE_COUNT, DEPTH, FORKED = 10_000, 500, 20_000, 32, 1_000
WAIT_S = 60


# ---- what is needed ----

def build_turns(out):
    """With the libraries of the worker, as `make wasm` has built them."""
    engine = TOP / "build/engine/rt"
    libraries = [*(TOP / "build/wasm" / f"lib{name}.a" for name in ("cloister_wasm", "wasi", "base")), engine / "libcloister_engine_rt.a"]
    for path in libraries:
        if not path.exists():
            raise BenchError(f"{path} is not built")
    source = HERE / "wasm_turns.c"
    return images.build(out, "wasm_turns", [need_tool("gcc"), *GCC, "-static-pie", "-isystem", engine / "include", source, *libraries, "-lm", *WRAPS],
                        [source, *libraries])


def build_load(out):
    source = HERE / "wasm_load.c"
    return images.build(out, "wasm_load", [need_tool("gcc"), *GCC, source], [source, TOP / "src/worker/orders.h"])


class Worker:
    """One of a tenant that nobody else has; its modules are compiled for that."""

    def __init__(self, rig, guests, model="coroutine"):
        self.cloister, self.tenant = rig.cloister, f"bench-{os.getpid()}-{secrets.token_hex(4)}"
        self.id = call(self.cloister, "wasm", "serve", "-d", "--tenant", self.tenant, "--wasm-model", model, "--guests", guests, "-m", "4g", "--open-files",
                       resource.getrlimit(resource.RLIMIT_NOFILE)[1]).strip()
        runtime = "/run" if os.geteuid() == 0 else os.environ["XDG_RUNTIME_DIR"]
        cache = "/var/cache" if os.geteuid() == 0 else os.environ.get("XDG_CACHE_HOME", f"{os.environ['HOME']}/.cache")
        self.socket = Path(runtime) / "cloister/workers" / (self.tenant if model == "coroutine" else f"{self.tenant}:process")
        self.cache = Path(cache) / "cloister/modules" / self.tenant

    def compile(self, module):
        """The code of MODULE, as a path: what has come to the cache by it."""
        before = set(self.cache.iterdir()) if self.cache.exists() else set()
        call(self.cloister, "wasm", "compile", "--tenant", self.tenant, module)
        return next(path for path in set(self.cache.iterdir()) - before if path.read_bytes()[:4] == b"\x7fELF")

    def pid(self):
        """The worker's own: the one process with its name whose sandbox has ours."""
        init = json.loads(call(self.cloister, "inspect", self.id))[0]["init_pid"]
        return int(Path(f"/proc/{init}/task/{init}/children").read_text().split()[0])

    def stop(self):
        call(self.cloister, "rm", "-f", self.id)
        for path in self.cache.iterdir():
            path.unlink()
        self.cache.rmdir()


@contextlib.contextmanager
def worker_of(rig, guests, model="coroutine"):
    worker = Worker(rig, guests, model)
    try:
        yield worker
    finally:
        worker.stop()


# ---- measurements ----

def held_kib(pid):
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("VmRSS", "VmPTE"))


def parked(worker, code, count):
    """KiB of the worker for each of COUNT that wait, its page tables too."""
    with wire.Client(worker.socket) as client:
        before = held_kib(worker.pid())
        for _ in range(count):
            client.run(code, args=("nap", "0"))
        client.run(code, args=("nap", "1"))  # when this one has ended the others wait
        if client.answer().status != wire.EXITED:
            raise BenchError("a guest did not end as it should")
        return (held_kib(worker.pid()) - before) / count


def delays(worker, hello, nap, spins):
    """The median of how long each of BESIDE guests takes that are started together."""
    with wire.Client(worker.socket) as client:
        if spins:
            client.run(nap, guest=1 << 40, args=("nap",))
        begun, took = {}, []
        while len(took) < BESIDE:
            if len(begun) < BESIDE:
                begun[client.next] = time.monotonic()
                client.run(hello)
            while len(took) < BESIDE and (client.has_answer() or len(begun) == BESIDE):  # or the worker waits for us
                took.append(time.monotonic() - begun[client.answer().guest])
        return statistics.median(took) * 1000


def kills(worker, nap, turns):
    """Milliseconds from the order to the answer, of one that spins: the worst of TURNS."""
    took = []
    with wire.Client(worker.socket) as client:
        for _ in range(turns):
            guest = client.run(nap, args=("nap",))
            time.sleep(0.01)  # it is to be in the midst of its work
            begun = time.monotonic()
            client.tell(wire.END, guest)
            if client.answer().status != wire.KILLED:
                raise BenchError("a guest did not end as it should")
            took.append((time.monotonic() - begun) * 1000)
    return {"median": statistics.median(took), "worst": max(took)}


@contextlib.contextmanager
def cgroups(name):
    """The files by which to enter a cgroup of memory and one of pids, as a run has them; none where there is no cgroup v1."""
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    made = [Path(f"/sys/fs/cgroup/{kind}{own[kind]}") / name for kind in ("memory", "pids") if kind in own]
    for place in made:
        place.mkdir()
    try:
        yield [place / "tasks" for place in made]
    finally:
        for place in made:
            place.rmdir()


def measure_processes(rig, modules, turns):
    """Milliseconds from the order to the answer, of one guest after the other, each with a process and its cgroups."""
    load = build_load(rig.out)
    with worker_of(rig, 100, "process") as worker, cgroups(worker.tenant) as doors:
        hello = worker.compile(modules["wasm_hello"])
        took = [int(call(load, worker.socket, hello, FORKED, 1, *doors, timeout=WAIT_S)) / FORKED / 1e6 for _ in range(turns)]
    return statistics.median(took)


def measure_shared(rig, modules, turns):
    turns_program, load = build_turns(rig.out), build_load(rig.out)
    with worker_of(rig, PARKED + 100) as worker:
        hello, nap = (worker.compile(modules[name]) for name in ("wasm_hello", "wasm_nap"))
        with open(hello, "rb") as hello_file, open(nap, "rb") as nap_file:
            hello_fd, nap_fd = hello_file.fileno(), nap_file.fileno()
            rates, alone, plain, spun = [], [], [], []
            for _ in range(turns):
                rates.append(RATE_COUNT / int(call(load, worker.socket, hello, RATE_COUNT, DEPTH, timeout=WAIT_S)) * 1e9)
                alone.append(RATE_COUNT / int(call(turns_program, hello, RATE_COUNT, timeout=WAIT_S)) * 1e9)
                plain.append(delays(worker, hello_fd, nap_fd, False))
                spun.append(delays(worker, hello_fd, nap_fd, True))
            killed = kills(worker, nap_fd, 20 * turns)
            held = parked(worker, nap_fd, PARKED)
    return {"forked": measure_processes(rig, modules, turns), "rate": statistics.median(rates), "alone": statistics.median(alone), "parked": held, "killed": killed,
            "delay": statistics.median(spun) - statistics.median(plain), "plain": statistics.median(plain)}


# ---- report ----

def targets(found):
    killed = found.get("killed", {})
    return [
        ("wasm: guests of one thread, a second", found.get("alone"), ">=", 35_000),
        ("wasm: by a worker's socket, a second", found.get("rate"), ">=", 8_000),
        ("wasm: KiB of each of 10,000 that wait", found.get("parked"), "<=", 48),
        ("wasm: delay of 500 by one that spins, ms", found.get("delay"), "<=", 3),
        ("wasm: from kill to the end, ms", killed.get("median"), "<=", 2),
        ("wasm: a process of its own, create to exit, ms", found.get("forked"), "<=", 0.6),
    ]
