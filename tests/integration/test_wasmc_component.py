"""cloister-wasmc with components: any bytes, and types and instances that multiply, end as an error within its limits."""

import random
import signal

import pytest

from integration.test_wasm_component import BIG
from integration.test_wasmc import MIB, OUT_OF_TIME, boundaries, compiler, root_compiler  # noqa: F401
from lib import wasm_module as wasm
from lib.fetched import or_skip
from lib.wasm_component import component_of_text

WORD = "compile-component"
MODULE, COMPONENT, INSTANCE, TYPE, IMPORT = 1, 4, 5, 7, 10  # sections
U8, TUPLE, LIST, RECORD, FUNCTION = b"\x7d", b"\x6f", b"\x70", b"\x72", b"\x40"


def component(*sections):
    return wasm.COMPONENT + b"".join(sections)


def named(text, what):
    return b"\0" + wasm.name(text) + what


def types(*items):
    return wasm.section(TYPE, wasm.vector(items))


def doubled(depth, kind=lambda n: TUPLE + wasm.vector([wasm.u(n), wasm.u(n)])):
    """Each type has the one before it twice; a function takes the last one."""
    function = FUNCTION + wasm.vector([wasm.name("p") + wasm.u(depth)]) + b"\1\0"
    return types(TUPLE + wasm.vector([U8]), *(kind(n) for n in range(depth)), function)


def nested(depth, inner=b"", more=b""):
    """Components in components, each with MORE beside the next one."""
    made = component(inner)
    for _ in range(depth):
        made = component(wasm.section(COMPONENT, made), more)
    return made


TWICE = wasm.section(INSTANCE, wasm.vector([b"\0\0\0", b"\0\0\0"]))  # instances of component 0
ONE_MODULE = wasm.section(MODULE, wasm.hello())


@pytest.fixture(scope="module")
def sound(world):
    path = world.directory("wasmc-component") / "sound.wasm"
    return or_skip(component_of_text, path, BIG.format(pages=1, body="i32.const 0")).read_bytes()


@pytest.mark.parametrize("threads", [1, 4])
def test_a_component_becomes_code(compiler, sound, threads):  # noqa: F811
    compiler(sound, threads, word=WORD).ok()
    compiler(wasm.COMPONENT, threads, word=WORD).ok()


def test_the_code_is_the_same_by_however_many_threads(root_compiler, sound):  # noqa: F811
    assert root_compiler(sound, 1, word=WORD).ok() == root_compiler(sound, 4, word=WORD).ok()


def test_a_component_cut_anywhere_is_refused_with_its_place(root_compiler, sound):  # noqa: F811
    """Between two sections of a module in it the engine tells where that should have ended."""
    whole = boundaries(sound)
    assert len(sound) in whole and len(whole) > 6
    for size in range(len(sound)):
        outcome = root_compiler(sound[:size], word=WORD)
        if size in whole and outcome.status == 0:
            outcome.ok()
        else:
            outcome.refused()
            assert f"(bound = {size})" in outcome.said or outcome.offset() <= size, f"{size}: {outcome}"


def test_bytes_changed_at_random_are_refused_or_compiled(root_compiler, sound):  # noqa: F811
    dice = random.Random(7)
    outcomes = []
    for _ in range(200):
        changed = bytearray(sound)
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(8, len(changed))] = dice.randrange(256)
        outcomes.append(root_compiler(bytes(changed), 2, word=WORD))
        if outcomes[-1].status == 0:
            outcomes[-1].ok()
        else:
            outcomes[-1].refused()
    assert {outcome.status for outcome in outcomes} == {0, 1}


def test_other_versions_of_the_format_are_refused(root_compiler):  # noqa: F811
    for version in (b"\x0c\0\1\0", b"\x0e\0\1\0", b"\1\0\1\0"):
        root_compiler(b"\0asm" + version, word=WORD).refused(": at 0x4: ")
    root_compiler(b"\0asm\x0d\0\2\0", word=WORD).refused("was taken for a component")


def test_a_type_error_in_a_module_of_it_is_told_with_its_place(root_compiler):  # noqa: F811
    bad = wasm.module(functions=[0, 0], bodies=[wasm.body(wasm.NOP), wasm.body(b"\x6a\x1a")])
    made = component(ONE_MODULE, wasm.section(MODULE, bad))
    outcome = root_compiler(made, 4, word=WORD).refused("type mismatch")
    assert made[outcome.offset()] == 0x6A


def test_what_is_not_wasi_0_2_is_refused(root_compiler):  # noqa: F811
    """Streams and asynchronous functions are of the version to come; the proposals of modules are those that modules have."""
    root_compiler(component(types(b"\x66\1" + U8)), word=WORD).refused("stream|async")
    reference = wasm.module(types=[wasm.function_type([b"\x6f"])], functions=[0], bodies=[wasm.body(b"")])
    root_compiler(component(wasm.section(MODULE, reference)), word=WORD).refused("gc types are disallowed")


BOMBS = {
    "tuples of tuples": lambda: component(doubled(40)),
    "records of records": lambda: component(doubled(40, lambda n: RECORD + wasm.vector([wasm.name(name) + wasm.u(n) for name in ("a", "b")]))),
    "lists of tuples": lambda: component(doubled(60, lambda n: TUPLE + wasm.vector([wasm.u(n), wasm.u(n)]) if n % 2 else LIST + wasm.u(n))),
    "a tuple of a million": lambda: component(types(TUPLE + wasm.vector([U8] * 1_000_000))),
    "a deep list": lambda: component(types(TUPLE + wasm.vector([U8]), *(LIST + wasm.u(n) for n in range(100_000)))),
    "types": lambda: component(types(*[LIST + U8] * 1_100_000)),
    "functions of many parameters": lambda: component(types(*[FUNCTION + wasm.vector([wasm.name(f"p{n}") + U8 for n in range(2000)]) + b"\1\0"] * 50)),
    "imports": lambda: component(types(FUNCTION + b"\0\1\0"), wasm.section(IMPORT, wasm.vector([named(f"n{n}", b"\1\0") for n in range(200_000)]))),
    "a name": lambda: component(types(FUNCTION + b"\0\1\0"), wasm.section(IMPORT, wasm.vector([named("n" * 200_000, b"\1\0")]))),
    "modules": lambda: component(ONE_MODULE * 5000),
    "components in components": lambda: nested(5000),
    "instances of instances": lambda: nested(40, ONE_MODULE, TWICE),
    "instances of few instances": lambda: nested(16, ONE_MODULE, TWICE),
    "a count that lies": lambda: component(wasm.section(TYPE, wasm.u(2**32 - 1) + LIST + U8)),
    "a size that lies": lambda: wasm.COMPONENT + b"\7" + wasm.u(2**32 - 1),
    "a start of nothing": lambda: component(wasm.section(9, b"\0\0\0")),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_ends_as_an_error_or_as_code(root_compiler, what):  # noqa: F811
    outcome = root_compiler(BOMBS[what](), 2, word=WORD, CPU=4, AS=1024 * MIB)
    if outcome.status == 0:
        outcome.ok()
    elif outcome.status in OUT_OF_TIME:
        assert outcome.said == "" and outcome.code == b""
    else:
        outcome.refused("takes too much memory to compile|: at 0x|exceed|limit|too (large|many|big)")


def test_types_in_types_end_it(root_compiler):  # noqa: F811
    """The engine's parser goes down into them without a bound, to the end of its stack: that is an end by a signal, and no more than that."""
    outcome = root_compiler(component(types(b"\x41" + b"\1\1\x41" * 50_000 + b"\0")), word=WORD)
    assert outcome.status == -signal.SIGSEGV and (outcome.said, outcome.code) == ("", b""), f"{outcome}"


def test_a_compiler_that_crashed_is_told(as_root, world):
    path = world.directory("crash") / "deep.wasm"
    path.write_bytes(component(types(b"\x41" + b"\1\1\x41" * 50_000 + b"\0")))
    path.chmod(0o644)
    as_root.run(path).refused("deep.wasm: cloister-wasmc was ended by signal 11")


def test_a_component_that_is_told_as_a_bomb_says_so(root_compiler):  # noqa: F811
    root_compiler(BOMBS["tuples of tuples"](), word=WORD).refused("type size")
    root_compiler(BOMBS["modules"](), word=WORD).refused("modules count exceeds|limit")
