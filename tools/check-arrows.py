#!/usr/bin/env python3
"""Holds what no compiler does: which directory may include which, sizes, banned calls.

    base <- {plan, oci, wasi, rpc} <- {limits, net, image, copy, module, engine} <- worker <- walls <- {sandbox, runtime} <- cmd

A directory includes its own headers and those of the directories before it; the
helpers take base, plan and oci only, and cloister-grpc ttrpc's frames; those who use a wall know walls/*.h, never a wall's
own directory. Prints each breach as FILE:LINE: TEXT; exit status 1 if there is one.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
RANKS = [{"base"}, {"plan", "oci", "wasi", "rpc"}, {"limits", "net", "image", "copy", "module", "engine", "containerd"}, {"worker"}, {"walls"}, {"sandbox", "runtime"},
         {"cmd"}]
HELPERS_MAY = {"base", "plan", "oci"}
GRPC_MAY = {"rpc/code.h", "rpc/message.h", "rpc/ttrpc.h", "rpc/wire.h"}  # frames; no calls, no server
MAX_LINES = 600

BANNED = {  # call: the reason, which names the cure
    **dict.fromkeys(["strcpy", "strcat", "stpcpy", "sprintf", "vsprintf", "gets"], "writes without a bound: use cl_buf"),
    **dict.fromkeys(["strtok", "strtok_r"], "changes what it reads: walk it with strcspn or memchr"),
    **dict.fromkeys(["atoi", "atol", "atoll", "atof", "strtol", "strtoul", "strtoll", "strtoull", "strtod", "sscanf"],
                    "takes what isn't a number: use cl_parse_*"),
    **dict.fromkeys(["pthread_create", "thrd_create"], "there is one thread: wait for several things with base/loop"),
    **dict.fromkeys(["system", "popen", "tmpnam", "mktemp", "alloca"], "not in this program"),
}
BANNED_IN_CORE = dict.fromkeys(
    ["getpwnam", "getpwuid", "getgrnam", "getgrgid", "getpwnam_r", "getpwuid_r", "getaddrinfo", "gethostbyname",
     "iconv_open", "setlocale", "dlopen"], "the core uses no name services, locales or loaders")
BANNED_IN_CORE["poll"] = "no test can fail it: use cl_sys_poll"
ALLOWED_IN_ENGINES = {"dlopen"}  # a library that a user has installed (engine/wasmedge)
ALLOWED_IN_BASE = {"strtol", "strtoul", "strtoll", "strtoull", "strtod", "poll"}  # what cl_parse_* and cl_sys_* are made of

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
CALL = re.compile(r"\b([a-z_0-9]+)\s*\(")
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def rank(module):
    return next((n for n, modules in enumerate(RANKS) if module in modules), None)


def may_include(path, target):
    """Why src/PATH may not include src/TARGET, or None."""
    own, other = path.parts[0], target.parts[0]
    if own == "helpers":
        if other in HELPERS_MAY or target.parts[:2] in (path.parts[:2], ("helpers", "common")):
            return None
        if path.parts[1] == "grpc" and target.as_posix() in GRPC_MAY:
            return None
        return f"helpers use base, plan and oci only, not {other}"
    if other == "helpers":
        return "the core knows nothing of the helpers' sources"
    if own == other:
        if own == "cmd" and target.parts[:2] != path.parts[:2]:
            return "one program's commands don't use another's"
        if own == "walls" and len(path.parts) > 2 and len(target.parts) > 2 and path.parts[1] != target.parts[1]:
            return "one wall doesn't use another"
        return None
    if rank(own) is None or rank(other) is None:
        return f"{own if rank(own) is None else other} has no place in the order of directories"
    if rank(other) >= rank(own):
        return f"{own} comes before {other}"
    if other == "walls" and len(target.parts) > 2:
        return "walls are used through walls/*.h, not by name"
    return None


def includes(path, text):
    src = TOP / "src"
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        name = match.group(1)
        if name.startswith("policy/"):
            continue  # tables belong to all
        target = (path.parent / name) if (path.parent / name).exists() else src / name
        if not target.exists():
            yield number, f'"{name}" is not below src/'
            continue
        reason = may_include(path.relative_to(src), target.resolve().relative_to(src))
        if reason:
            yield number, f'includes "{name}": {reason}'


def calls(path, text):
    module = path.relative_to(TOP / "src").parts[0]
    banned = BANNED if module == "helpers" else {**BANNED, **BANNED_IN_CORE}
    for number, line in enumerate(NOT_CODE.sub(blank, text).splitlines(), 1):
        for name in CALL.findall(line):
            if name in (ALLOWED_IN_BASE if module == "base" else ALLOWED_IN_ENGINES if module == "engine" else ()):
                continue
            if name in banned:
                yield number, f"{name}(): {banned[name]}"


def main():
    breaches = []
    for path in sorted(p for d in ("src", "tests", "bench", "tools") for p in (TOP / d).rglob("*.[ch]")):
        text = path.read_text(encoding="utf-8")
        found = []
        if text.count("\n") > MAX_LINES:
            found.append((text.count("\n"), f"more than {MAX_LINES} lines: split it at its second noun"))
        if path.is_relative_to(TOP / "src"):
            found += [*includes(path, text), *calls(path, text)]
        breaches += [f"{path.relative_to(TOP)}:{number}: {text}" for number, text in found]
    print("\n".join(breaches) if breaches else "directories, sizes and calls are in order")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
