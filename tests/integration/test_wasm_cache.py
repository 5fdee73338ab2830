"""What modules were compiled to: how much of it there may be, what goes, and who doesn't notice."""

import itertools
import os
import signal
import subprocess
import time

import pytest

from lib import wasm_worker as wire
from lib.patience import patience
from lib.runner import Cloister, poll, text
from lib.wasm_guest import compile_guest

numbers = itertools.count()


@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasm-cache"))


@pytest.fixture
def modules(cloister, guest):
    """Four files, each of a module of its own: a custom section makes the difference."""
    place = cloister.directory("modules")
    made = []
    for i in range(4):
        made.append(place / f"{i}.wasm")
        made[-1].write_bytes(guest.read_bytes() + bytes([0, 3, 1, 0x78, i]))
        made[-1].chmod(0o644)
    return made


class Apart(Cloister):
    """cloister with a cache of its own: a user's is named, on root's another directory is mounted."""

    def __init__(self, like, place):
        super().__init__(like.world, like.binary, like.identity, without=like.without)
        self.place, self.budget = place, None

    def prefix(self):
        if self.identity == "user":
            return super().prefix()
        return ["unshare", "-m", "sh", "-c", f"mount --bind '{self.place}' /var/cache && exec \"$@\"", "mount", *super().prefix()]

    def environment(self, extra=None):
        return super().environment({"XDG_CACHE_HOME": str(self.place), "CLOISTER_MODULES_BUDGET": self.budget, **(extra or {})})

    def module_cache(self):
        return self.place / "cloister/modules"


@pytest.fixture
def apart(cloister):
    place = cloister.directory("cache", mode=0o755)
    return Apart(cloister, place)


def entries(cloister, tenant="_"):
    place = cloister.module_cache() / tenant
    return sorted(place.iterdir()) if place.exists() else []


def code(cloister, tenant="_"):
    return [entry for entry in entries(cloister, tenant) if entry.stat().st_size > 64]


def size_of(entry):
    return entry.stat().st_blocks * 512


def was_compiled(cloister, module, *opts):
    said = text(cloister.call("wasm", "compile", *opts, module).ok().out)
    assert ("compiled in" in said) != ("was compiled" in said)
    return "was compiled" in said


def test_the_oldest_goes(apart, modules):
    assert not was_compiled(apart, modules[0])
    one, = code(apart)
    apart.budget = str(2 * size_of(one) + 20000)  # two, and what is remembered of their files
    os.utime(one, (time.time() - 7200,) * 2)
    assert not was_compiled(apart, modules[1])
    assert was_compiled(apart, modules[0])  # that it was used is known now
    second, = (entry for entry in code(apart) if entry != one)
    os.utime(second, (time.time() - 7200,) * 2)
    assert not was_compiled(apart, modules[2])
    assert one.exists() and not second.exists() and len(code(apart)) == 2
    assert was_compiled(apart, modules[0]) and was_compiled(apart, modules[2])


def test_a_budget_that_is_too_small_for_one_is_no_harm(apart, modules):
    apart.budget = "4096"
    for module in (modules[0], modules[0], modules[1]):
        assert apart.run(module).ok().out == b"hello\n"
    assert len(code(apart)) == 1
    apart.run(modules[0], env={"CLOISTER_MODULES_BUDGET": "much"}, result=False).refused("CLOISTER_MODULES_BUDGET", "much")


def test_many_at_once_that_each_drive_out_the_others(apart, modules):
    apart.budget = "4096"
    words = [apart.argv(*apart.run_words(module, [], ["--tenant", tenant])) for module in modules for tenant in ("a", "b")] * 3
    running = [subprocess.Popen(list(map(str, argv)), env=apart.environment(), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE) for argv in words]
    for process in running:
        out, err = process.communicate(timeout=patience(60))
        assert (process.returncode, out, err) == (0, b"hello\n", b"")
    assert not [entry for entry in entries(apart, "a") + entries(apart, "b") if entry.name.startswith("new-")]


def test_who_runs_goes_on(cloister, modules):
    """With a worker of his own and in his tenant's, which maps no file again that it has."""
    tenant = f"cache-{os.getpid()}-{next(numbers)}"
    worker = wire.Worker(cloister, tenant)
    try:
        for model in ("process", "coroutine"):
            with cloister.start(modules[0], "rest", "1500", opts=["--tenant", tenant, "--wasm-model", model]) as running:
                running.expect(b"resting")
                assert "compiled module" in text(cloister.call("prune", "--modules", "--tenant", tenant).ok().out)
                assert not (cloister.module_cache() / tenant).exists()
                assert cloister.run(modules[1], opts=["--tenant", tenant]).ok().out == b"hello\n"
                running.wait().ok()
        assert cloister.run(modules[0], opts=["--tenant", tenant]).ok().out == b"hello\n"
    finally:
        worker.stop()


def test_prune_takes_a_tenants_alone(cloister, modules):
    tenants = [f"prune-{os.getpid()}-{next(numbers)}" for _ in range(2)]
    for tenant in tenants:
        assert not was_compiled(cloister, modules[0], "--tenant", tenant)
    cloister.call("prune", "--modules", "--tenant", tenants[0]).ok()
    assert not was_compiled(cloister, modules[0], "--tenant", tenants[0])
    assert was_compiled(cloister, modules[0], "--tenant", tenants[1])
    for tenant in tenants:
        cloister.call("prune", "--modules", "--tenant", tenant).ok()
        assert not (cloister.module_cache() / tenant).exists()
    cloister.call("prune", "--tenant", tenants[0]).refused("--tenant is for --modules")
    cloister.call("prune", "--modules", "--tenant", "..").refused("--tenant")


def test_prune_takes_all(apart, modules):
    for tenant in ("a", "b"):
        was_compiled(apart, modules[0], "--tenant", tenant)
    assert "2 compiled modules" in text(apart.call("prune", "--modules").ok().out)
    assert list(apart.module_cache().iterdir()) == []


def test_a_kill_at_any_moment_leaves_nothing_wrong(apart, modules):
    """What is half done has no name of an entry, and goes when it is old."""
    apart.budget = "4096"
    for i in range(12):
        argv = apart.argv("wasm", "compile", modules[i % 4])
        process = subprocess.Popen(list(map(str, argv)), env=apart.environment(), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(i * 0.004)  # the moment is what is tried
        process.send_signal(signal.SIGKILL)
        process.wait()
    for module in modules:
        assert apart.run(module).ok().out == b"hello\n"
    for entry in entries(apart):
        if entry.name.startswith("new-"):
            os.utime(entry, (time.time() - 7200,) * 2)
    assert not was_compiled(apart, modules[0])
    poll(lambda: not [entry for entry in entries(apart) if entry.name.startswith("new-")], 1, "what was left over stays")
