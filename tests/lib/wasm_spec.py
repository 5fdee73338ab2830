"""The core specification's tests (lib/fetched.py), by the compiler and the engine as cloister has them.

    runner = build_runner(directory, engine)
    done = Script(text, directory).run(runner, host, wasmc)  # done.faults, done.passed, done.refused

wast2json makes modules and a list of commands of each text; cloister-wasmc compiles every module, or has to
refuse it; conformance/wasm/runner.c does the rest with what it made. Texts that are no text are skipped: that
format is none of ours.
"""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNER = REPOSITORY / "tests/conformance/wasm/runner.c"
FEATURES = ("tail-call", "memory64", "multi-memory", "extended-const", "relaxed-simd")
# What the suite calls a trap, as it begins; and the engine's numbers (wasmtime/trap.h).
TRAPS = {"call stack exhausted": {0}, "out of bounds memory access": {1}, "out of bounds table access": {3}, "undefined": {3},
         "uninitialized": {4}, "indirect call type mismatch": {5}, "integer overflow": {6}, "integer divide by zero": {7},
         "invalid conversion to integer": {8}, "unreachable": {9}}
# What modules of the suites import: the specification's interpreter has it.
HOST = """(module
  (func (export "print")) (func (export "print_i32") (param i32)) (func (export "print_i64") (param i64))
  (func (export "print_f32") (param f32)) (func (export "print_f64") (param f64))
  (func (export "print_i32_f32") (param i32 f32)) (func (export "print_f64_f64") (param f64 f64))
  (global (export "global_i32") i32 (i32.const 666)) (global (export "global_i64") i64 (i64.const 666))
  (global (export "global_f32") f32 (f32.const 666.6)) (global (export "global_f64") f64 (f64.const 666.6))
  (table (export "table") 10 20 funcref) (memory (export "memory") 1 2))
"""


def build_runner(directory, engine=REPOSITORY / "build/engine/rt"):
    made = directory / "runner"
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{REPOSITORY}", f"-I{REPOSITORY}/src", "-isystem", engine / "include", "-o", made,
                    RUNNER, engine / "libcloister_engine_rt.a", "-lm"], check=True, timeout=120)
    return made


def build_host(directory, wasmc):
    (directory / "host.wat").write_text(HOST)
    subprocess.run(["wat2wasm", "-o", directory / "host.wasm", directory / "host.wat"], check=True, timeout=60)
    return compiled(wasmc, directory / "host.wasm")[0]


def compiled(wasmc, module):
    """The path of what the compiler made of a module, or its words."""
    code = module.with_suffix(".cwasm")
    with open(module, "rb") as data, open(code, "wb") as out:
        # what it makes goes to its descriptor 3
        done = subprocess.run(["sh", "-c", 'exec "$0" compile "$1" 1 3>&1 > /dev/null', wasmc, module.name], stdin=data, stdout=out,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    if done.returncode == 0:
        return code, None
    assert done.returncode == 1 and module.name in done.stderr and done.stderr.count("\n") == 1, f"{module}: {done.returncode}: {done.stderr}"
    return None, done.stderr.strip()


# --- values ------------------------------------------------------------------------------------

BITS = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64}


def spelled(value):
    """An argument for the runner; None: one that it has no word for."""
    kind = value["type"]
    if kind == "v128":
        bits = BITS[value["lane_type"]]
        return "v128:" + b"".join((int(lane) % (1 << bits)).to_bytes(bits // 8, "little") for lane in value["value"]).hex()
    if kind in BITS:
        return f"{kind}:{int(value['value']):x}"
    return "func:null" if (kind, value["value"]) == ("funcref", "null") else None


def number_is(expected, bits, size):
    """NaNs are told by their kind: a canonical one has the highest bit of its fraction alone, an arithmetic one that bit."""
    if not expected.startswith("nan:"):
        return int(expected) % (1 << size) == bits
    fraction = {32: 23, 64: 52}[size]
    quiet = (1 << (size - 1)) - (1 << (fraction - 1))   # exponent and that bit
    without_sign = bits & ((1 << (size - 1)) - 1)
    return without_sign == quiet if expected == "nan:canonical" else without_sign & quiet == quiet


def value_is(expected, word):
    kind, _, rest = word.partition(":")
    if expected["type"] == "either":
        return any(value_is(one, word) for one in expected["values"])
    if expected["type"] == "v128":
        size, data = BITS[expected["lane_type"]], bytes.fromhex(rest)
        lanes = [int.from_bytes(data[at:at + size // 8], "little") for at in range(0, 16, size // 8)]
        return kind == "v128" and all(number_is(lane, bits, size) for lane, bits in zip(expected["value"], lanes))
    if expected["type"] in BITS:
        return kind == expected["type"] and number_is(expected["value"], int(rest, 16), BITS[kind])
    return kind == "func" and (rest == "null") == (expected["value"] == "null")


# --- one script --------------------------------------------------------------------------------

@dataclass
class Done:
    passed: int = 0
    faults: list = field(default_factory=list)      # (line, what was and what is, the text's own words)
    refused: list = field(default_factory=list)     # (line, the compiler's words) of modules that are sound
    left_out: int = 0                               # commands that need those, or values the engine has none of


class Script:
    """One text of the suite, turned into commands."""

    def __init__(self, text, directory):
        self.directory = directory
        listed = directory / f"{text.stem}.json"
        done = subprocess.run(["wast2json", *(f"--enable-{name}" for name in FEATURES), text, "-o", listed], capture_output=True, text=True, timeout=60)
        self.unread = done.stderr if done.returncode != 0 else None
        self.commands = [] if self.unread else json.loads(listed.read_text())["commands"]
        self.done, self.lines, self.checks = Done(), [], []
        self.missing = set()    # names of modules that aren't there; "-" is the last one

    def run(self, runner, host, wasmc):
        """HOST: build_host's."""
        modules = {command["filename"] for command in self.commands if command.get("filename", "").endswith(".wasm")}
        with ThreadPoolExecutor(2) as pool:
            made = dict(zip(modules, pool.map(lambda name: compiled(wasmc, self.directory / name), modules)))
        self._ask({"line": 0, "type": "host"}, f"module host {host}", lambda answer: answer == "ok")
        self._ask({"line": 0, "type": "host"}, f"register {b'spectest'.hex()} host", lambda answer: answer == "ok")
        for command in self.commands:
            self._plan(command, made.get(command.get("filename")))
        answers = subprocess.run([runner], input="".join(f"{line}\n" for line in self.lines), capture_output=True, text=True, timeout=120)
        said = answers.stdout.splitlines()
        if answers.returncode != 0 or len(said) != len(self.lines):
            place = self.checks[len(said)][0]["line"] if len(said) < len(self.checks) else "end"
            self.done.faults.append((place, f"the engine ended: {answers.returncode}: {answers.stderr[-500:]}", ""))
        for (command, is_right), answer in zip(self.checks, said):
            self._count(is_right(answer), command, answer)
        return self.done

    def _count(self, is_right, command, answer):
        if is_right:
            self.done.passed += 1
        else:
            words = command.get("text", "")
            self.done.faults.append((command["line"], f"{command['type']} {words or command.get('expected', '')}: {answer}", words))

    def _ask(self, command, line, is_right):
        self.lines.append(line)
        self.checks.append((command, is_right))

    def _plan(self, command, code):
        kind = command["type"]
        if kind in ("assert_invalid", "assert_malformed"):
            if command["module_type"] == "binary":
                self._count(code[0] is None, command, "it was compiled")
        elif kind in ("module", "assert_unlinkable", "assert_uninstantiable"):
            self._plan_module(command, code)
        elif kind == "register":
            if (name := command.get("name", "-")) not in self.missing:
                self._ask(command, f"register {command['as'].encode().hex()} {name}", lambda answer: answer == "ok")
            else:
                self.done.left_out += 1
        else:
            self._plan_action(command, kind)

    def _plan_module(self, command, code):
        name = command.get("name", "-")
        if code[0] is None:
            self.done.refused.append((command["line"], code[1]))
            if command["type"] == "module":
                self.missing |= {"-", name}
            return
        if command["type"] == "module":
            self.missing -= {"-", name}
            self._ask(command, f"module {name if name != '-' else '?'} {code[0]}", lambda answer: answer == "ok")
        elif command["type"] == "assert_unlinkable":
            self._ask(command, f"module ? {code[0]}", lambda answer: answer.startswith("error"))
        else:
            self._ask(command, f"module ? {code[0]}", lambda answer: trap_is(command["text"], answer))

    def _plan_action(self, command, kind):
        action = command["action"]
        name = action.get("module", "-")
        arguments = [spelled(value) for value in action.get("args", [])]
        expected = command.get("expected", [{"type": "either", "values": command["either"]}] if "either" in command else [])
        if name in self.missing or None in arguments or any(value["type"] == "externref" for value in expected):
            self.done.left_out += 1
            return
        line = " ".join([action["type"], name, action["field"].encode().hex() or ".", *arguments])
        if kind in ("assert_trap", "assert_exhaustion"):
            self._ask(command, line, lambda answer: trap_is(command["text"], answer))
        elif kind == "action":
            self._ask(command, line, lambda answer: answer.startswith("ok"))
        else:
            self._ask(command, line, lambda answer: are(expected, answer))


def are(expected, answer):
    words = answer.split()
    return words[0] == "ok" and len(words) == len(expected) + 1 and all(map(value_is, expected, words[1:]))


def trap_is(text, answer):
    words = answer.split()
    known = [codes for begin, codes in TRAPS.items() if text.startswith(begin)]
    return words[0] == "trap" and (not known or int(words[1]) in known[0])
