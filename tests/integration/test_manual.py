"""The manual and --help say the same of commands and their options."""

import re
import subprocess
from pathlib import Path

import pytest

from lib.runner import text
from lib.world import command as said

PAGES = {page.name.removesuffix(".scd"): page.read_text(encoding="utf-8")
         for page in sorted((Path(__file__).resolve().parents[2] / "docs/man").glob("*.scd"))}
COMMANDS = [name.removeprefix("cloister-").removesuffix(".1") for name in PAGES if re.fullmatch(r"cloister-.*\.1", name)]
OPTION = r"(?:-(\w), )?--([a-z-]+)(?: ([A-Z]\S*))?"  # -m, --memory SIZE


def plain(marked):
    """A line of scdoc's without its marks."""
    return re.sub(r"[*_]", "", marked)


def section(page, name):
    return re.search(rf"^# {name}\n(.*?)(?=^# |\Z)", PAGES[page], re.DOTALL | re.MULTILINE)[1]


def headings(page, name):
    """The lines that a paragraph is indented below."""
    return [plain(line) for line in re.findall(r"^(\*.*)\n\t", section(page, name), re.MULTILINE)]


def help_of(cloister, *command):
    return text(cloister.call(*command, "--help").ok().out)


def options_told(cloister, command):
    """{(short, long, takes a value)} of COMMAND --help."""
    listed = re.findall(rf"^ {{2,6}}{OPTION}(?= |$)", help_of(cloister, command).partition("\nOptions:\n")[2], re.MULTILINE)
    assert ("", "help", "") in listed, listed
    return {(short, name, value != "") for short, name, value in listed}


def options_described(command):
    """The same of its page."""
    found = set()
    for line in headings(f"cloister-{command}.1", "OPTIONS"):
        heading = re.fullmatch(OPTION, line)
        assert heading, f"no option: {line}"
        found.add((heading[1] or "", heading[2], heading[3] is not None))
    return found


def commands_told(cloister):
    return re.findall(r"^  (\w+) ", help_of(cloister).partition("\nCommands:\n")[2], re.MULTILINE)


def test_each_command_has_a_page(as_root):
    assert sorted(commands_told(as_root)) == COMMANDS


def test_the_first_page_names_the_commands_in_their_order(as_root):
    assert headings("cloister.1", "COMMANDS") == commands_told(as_root)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_has_the_options_of_help_and_no_others(as_root, command):
    assert options_described(command) == options_told(as_root, command)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_synopsis_is_the_usage(as_root, command):
    assert f"Usage: {plain(section(f'cloister-{command}.1', 'SYNOPSIS')).strip()}\n" in help_of(as_root, command)


def test_the_first_page_refers_to_the_page_of_each_command():
    for command, told in re.findall(r"^\*(.*)\*\n((?:\t.*\n)+)", section("cloister.1", "COMMANDS"), re.MULTILINE):
        assert f"*cloister-{command}*(1)" in told, command


def test_run_describes_all_kinds_of_images():
    described = plain(section("cloister-run.1", "IMAGES"))
    for kind in ("[REGISTRY/]REPOSITORY", "oci:DIR", "oci-archive:FILE", "docker-archive:FILE", "host", "rootfs:DIR"):
        assert kind in described


def rendered(page):
    roff = subprocess.run(["scdoc"], input=PAGES[page].encode(), capture_output=True, check=True).stdout
    shown = subprocess.run(["groff", "-man", "-Tutf8", "-P-c"], input=roff, capture_output=True, check=True).stdout.decode()
    return [re.sub(r".\x08", "", line).strip() for line in shown.splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_examples_survive_rendering(page):
    """Each line as it is typed, with the backslash at its end: outside of blocks lines are joined, and a single one is eaten."""
    examples = re.search(r"^# EXAMPLES?\n(.*?)(?=^# |\Z)", PAGES[page], re.DOTALL | re.MULTILINE)
    assert examples is None or "\n\t" not in re.sub(r"^```$.*?^```$", "", examples[1], flags=re.DOTALL | re.MULTILINE), "an example is in no block"
    shown = rendered(page)
    for block in re.findall(r"^```\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE):
        lines = [line.strip().replace("\\\\", "\\") for line in block.splitlines()]
        assert any(shown[at:at + len(lines)] == lines for at in range(len(shown))), block


def options_of(cloister, name):
    """All that another program and its commands know, by their --help."""
    program = Path(cloister.binary).with_name(name)
    first = said(program, "--help")
    helps = [first, *(said(program, name, "--help") for name in re.findall(r"^  (\w+) ", first.partition("\nCommands:\n")[2], re.MULTILINE))]
    return {name for told in helps for name in re.findall(r"^ {2,6}(?:-\w, )?--([a-z-]+)", told, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_speaks_of_options_that_there_are(as_root, page):
    known = options_of(as_root, page[:-2]) if page.endswith(".8") else {name for command in COMMANDS for _, name, _ in options_told(as_root, command)}
    assert set(re.findall(r"\*--([a-z-]+)", PAGES[page])) <= known


@pytest.mark.parametrize("page", PAGES)
def test_a_page_refers_to_pages_that_there_are(page):
    assert {".".join(other) for other in re.findall(r"\*(cloister[a-z-]*)\*\((\d)\)", PAGES[page])} <= set(PAGES)
