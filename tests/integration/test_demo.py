"""make demo: an honest job, an image, and five attacks, each with its result; the program's place at the end."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.world import command

TOOLS = Path(__file__).resolve().parents[2] / "tools"
# part: what the result line says of it
PARTS = {
    "1. An honest job": "status exited | exit 0 | limits hit: none |",
    "2. An image": "status exited | exit 0 | limits hit: none |",
    "3. A fork bomb": "status timeout | exit 124 | limits hit: tasks, time",
    "4. A memory hog": "status oom | exit 137 | limits hit: memory |",
    "5. An endless loop": "status cpu_time | exit 137 | limits hit: cpu_time |",
    "6. An output flood": "status output_limit | exit 137 | limits hit: output |",
    "7. A spy": "status exited | exit 0 | limits hit: none |",
}


@pytest.fixture(scope="module")
def demo(world):
    """A function: the demo of a program that is there, as somebody without a terminal, from where everybody finds it."""
    checkout = world.directory("checkout")
    shutil.copytree(TOOLS, checkout / "tools")
    command("chmod", "-R", "go+rX", checkout)

    def run(cloister, program, **more):
        environment = cloister.environment({"CLOISTER": str(program), **more})
        return subprocess.run([*cloister.prefix(), checkout / "tools/demo/demo.sh"], env=environment, cwd="/", stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture(scope="module")
def shown(as_root, demo, leaks):
    done = demo(as_root, as_root.binary)
    leaks.check()
    return done


@pytest.fixture(scope="module")
def parts(shown):
    """{title: what was shown below it}"""
    words = re.split(r"^(\d\. .*)$", shown.stdout, flags=re.MULTILINE)
    return dict(zip(words[1::2], words[2::2], strict=True))


def test_it_ends_well_and_without_a_complaint(shown):
    assert (shown.returncode, shown.stderr) == (0, ""), shown


def test_it_builds_nothing_for_a_program_that_is_there(shown):
    assert shown.stdout.startswith("\n1. "), shown.stdout


def test_it_has_seven_parts(parts):
    assert list(parts) == list(PARTS)


def results(shown_part):
    return re.findall(r"^  (status .*)$", shown_part, re.MULTILINE)


@pytest.mark.parametrize("title", PARTS)
def test_a_part_shows_its_result(parts, title):
    (result,) = results(parts[title])
    assert result.startswith(PARTS[title]), parts[title]


def test_the_honest_job_did_its_work(parts):
    assert "  | 348513 primes below 5000000," in parts["1. An honest job"]


def test_the_image_has_its_digest_and_does_its_work(parts):
    assert re.search(r"\n  \| sha256:[0-9a-f]{64}\n", parts["2. An image"]) and "  | 348513 primes below 5000000," in parts["2. An image"]


def test_the_flood_is_counted_and_not_shown(parts):
    assert "  | 1048576 bytes of output\n" in parts["6. An output flood"]


def test_the_spy_found_nothing(parts):
    assert "  | nothing found\n" in parts["7. A spy"]


def test_the_programs_place_stands_at_the_end(shown, as_root):
    assert shown.stdout.splitlines()[-4:] == [
        f"==> all seven ended as they should. The program is {as_root.binary}", "Try next:",
        f"    {as_root.binary} run host -- python3 -c 'print(\"hello from inside\")'", f"    {as_root.binary} doctor"]


def assert_tidy(done):
    (directory,) = set(re.findall(r"/var/tmp/cloister-demo-\w+", done.stdout))
    assert not Path(directory).exists()


def test_its_own_files_are_gone(shown):
    assert_tidy(shown)


def test_who_has_no_cgroup_and_no_sudo_sees_the_first_parts(as_user, demo, world, nothing_left):
    tools = world.directory("tools")
    (tools / "sudo").symlink_to("/bin/false")
    done = demo(as_user, as_user.binary, PATH=f"{tools}:{as_user.environment()['PATH']}")
    honest, image, *others = results(done.stdout)
    assert honest.startswith(PARTS["1. An honest job"]) and image.startswith(PARTS["2. An image"]) and not others, done
    assert "cloister run --without limits -v" in done.stdout and "primes below 5000000," in done.stdout, done
    assert done.returncode == 1 and re.fullmatch("error: limits need root here, or a cgroup of one's own .*\n", done.stderr), done
    assert_tidy(done)


def test_a_wall_that_does_nothing_fails(cloister, demo, world):
    program = world.directory("no-wall") / "cloister"
    program.write_text("#!/bin/sh\n[ $1 != inspect ] || echo '[{\"pid\": 1}]'\n")
    program.chmod(0o755)
    done = demo(cloister, program)
    assert done.returncode == 1 and done.stdout.count("no result record; exit 0") == len(PARTS), done
    assert re.fullmatch("error: did not end as it should: the honest job; .*; the spy; \n", done.stderr), done
