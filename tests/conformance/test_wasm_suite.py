"""The core specification's tests: what WebAssembly is, by the compiler and the engine as the worker has them."""

import pytest

from lib import wasm_spec
from lib.fetched import SPECIFICATION, or_skip

# Texts of the suites that what is finished since has made wrong: (file, what it says of a module that is sound now).
SUPERSEDED = {("binary", "zero byte expected"), ("binary-leb128", "integer representation too long"), ("imports", "multiple memories"),
              ("memory", "multiple memories"), ("memory64", "multiple memories")}
# Debian's wast2json is older than these texts' spelling.
UNREAD = {"comments", "if", "table_fill", "table_get", "table_grow", "table_set", "table_size", "relaxed_dot_product"}
# Modules with references to the host's objects, which policy/wasm.def leaves out: one per file, but for a few.
WITH_REFERENCES = {"br_table", "elem", "global", "linking", "ref_is_null", "ref_null", "select"}
# Suite, which of its files (each so many), and at least so many checks.
SUITES = [("wasm-v2", slice(0, None, 2), 17_000), ("wasm-v2", slice(1, None, 2), 9_700), ("proposals/simd", slice(None), 25_000),
          ("proposals/tail-call", slice(None), 110), ("proposals/multi-memory", slice(None), 990), ("proposals/memory64", slice(None), 1_500),
          ("proposals/extended-const", slice(None), 210), ("proposals/relaxed-simd", slice(None), 75)]


@pytest.fixture(scope="session")
def suites():
    return or_skip(SPECIFICATION.directory) / "data"


@pytest.fixture(scope="session")
def rig(world, binary):
    """The runner, the host's module, the compiler."""
    place = world.directory("specification")
    wasmc = binary.parent / "cloister-wasmc"
    return wasm_spec.build_runner(place), wasm_spec.build_host(place, wasmc), wasmc


@pytest.mark.parametrize("suite, which, least", SUITES, ids=[f"{suite.rpartition('/')[2]}-{n}" for n, (suite, _, _) in enumerate(SUITES)])
def test_core(suites, rig, world, suite, which, least):
    passed, faults = 0, []
    for text in sorted((suites / suite).rglob("*.wast"))[which]:
        script = wasm_spec.Script(text, world.directory(text.stem))
        if script.unread is not None:
            assert text.stem in UNREAD, script.unread
            continue
        done = script.run(*rig)
        passed += done.passed
        faults += [f"{text.name}:{line}: {what}" for line, what, said in done.faults if (text.stem, said) not in SUPERSEDED]
        faults += [f"{text.name}:{line}: {words}" for line, words in done.refused if text.stem not in WITH_REFERENCES or "requires gc" not in words]
    assert not faults, "\n".join(faults[:20])
    assert passed >= least


def test_a_wrong_answer_is_seen(suites, rig, world):
    """What the checks are worth: of a text with other numbers they say so."""
    text = world.directory("wrong") / "wrong.wast"
    text.write_text("""
(module (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "nan") (result f32) (f32.const -nan)) (func (export "trap") unreachable))
(assert_return (invoke "f" (i32.const -1)) (i32.const 0))
(assert_return (invoke "f" (i32.const 1)) (i32.const 1))
(assert_return (invoke "nan") (f32.const nan:canonical))
(assert_return (invoke "nan") (f32.const 0))
(assert_trap (invoke "trap") "unreachable")
(assert_trap (invoke "trap") "integer overflow")
(assert_trap (invoke "f" (i32.const 1)) "unreachable")
(assert_invalid (module (func (result i32) (i64.const 1))) "type mismatch")
(module (import "spectest" "print" (func)) (import "spectest" "memory" (memory 1)) (func (export "last")))
(assert_return (invoke "last"))
(assert_unlinkable (module (import "spectest" "print" (func (param i32)))) "incompatible import type")
(assert_unlinkable (module (import "spectest" "print" (func))) "unknown import")
""")
    done = wasm_spec.Script(text, text.parent).run(*rig)
    assert [line for line, _, _ in done.faults] == [5, 7, 9, 10, 15] and done.passed == 10
