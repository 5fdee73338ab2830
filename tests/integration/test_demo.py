"""make demo: an honest job, an image, five attacks, and four WebAssembly modules, each with its result; the program's place at the end."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.world import command

TOP = Path(__file__).resolve().parents[2]
MODULES = "tests/lib/wasm_module.py"  # the demo's modules are made with it
ENGINE = ("cloister-wasm", "cloister-wasm-component", "cloister-wasmc")
BUILDERS = ("cargo", "rustc", "cmake")
# part: what the result line says of it
PARTS = {
    "1. An honest job": "status exited | exit 0 | limits hit: none |",
    "2. An image": "status exited | exit 0 | limits hit: none |",
    "3. A fork bomb": "status timeout | exit 124 | limits hit: tasks, time",
    "4. A memory hog": "status oom | exit 137 | limits hit: memory |",
    "5. An endless loop": "status cpu_time | exit 137 | limits hit: cpu_time |",
    "6. An output flood": "status output_limit | exit 137 | limits hit: output |",
    "7. A spy": "status exited | exit 0 | limits hit: none |",
    "8. A WebAssembly module": "status exited | exit 0 | limits hit: none |",
    "9. A trap": "status signaled | exit 134 | limits hit: none |",
    "10. A greedy module": "status exited | exit 0 | limits hit: none |",
    "11. Its files": "status exited | exit 0 | limits hit: none |",
}
SEVEN = list(PARTS)[:7]


@pytest.fixture(scope="module")
def checkout(world):
    """A function: what of a checkout the demo needs, where everybody finds it."""
    def make(name="checkout"):
        directory = world.directory(name)
        shutil.copytree(TOP / "tools", directory / "tools")
        (directory / MODULES).parent.mkdir(parents=True)
        shutil.copy(TOP / MODULES, directory / MODULES)
        command("chmod", "-R", "go+rX", directory)
        return directory

    return make


@pytest.fixture(scope="module")
def demo(checkout):
    """A function: the demo of a program that is there, as somebody without a terminal."""
    here = checkout()

    def run(cloister, program, **more):
        environment = cloister.environment({"CLOISTER": str(program), **more})
        return subprocess.run([*cloister.prefix(), here / "tools/demo/demo.sh"], env=environment, cwd="/", stdin=subprocess.DEVNULL,
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
    words = re.split(r"^(\d+\. .*)$", shown.stdout, flags=re.MULTILINE)
    return dict(zip(words[1::2], words[2::2], strict=True))


def test_it_ends_well_and_without_a_complaint(shown):
    assert (shown.returncode, shown.stderr) == (0, ""), shown


def test_it_builds_nothing_for_a_program_that_is_there(shown):
    assert shown.stdout.startswith("\n1. "), shown.stdout


def test_it_has_its_parts(parts):
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


def test_the_module_says_hello_and_how_long_it_takes(parts):
    shown_part = parts["8. A WebAssembly module"]
    assert "  | hello from wasm\n" in shown_part
    (each,) = re.findall(r"^  20 more: (\d+\.\d) ms each", shown_part, re.MULTILINE)
    assert 0.2 < float(each) < 1000


def test_the_trap_has_its_backtrace(parts):
    said = re.findall(r"^  ! (.*)$", parts["9. A trap"], re.MULTILINE)
    assert [line.split()[-1] for line in said] == ["average", "report", "main", "average"]
    assert said[-1] == "cloister: trap: integer division by zero in average"


def test_the_greedy_module_is_told_and_goes_on(parts):
    (got,) = re.findall(r"^  \| (\d+) MiB, and no more: memory.grow said -1$", parts["10. A greedy module"], re.MULTILINE)
    (peak,) = re.findall(r"\| ([0-9.]+) MiB at most$", parts["10. A greedy module"], re.MULTILINE)
    assert 32 <= int(got) <= float(peak) <= 64


def test_the_module_reads_its_volume_and_nothing_else(parts):
    assert re.findall(r"^  \| (.*)$", parts["11. Its files"], re.MULTILINE) == [
        "a note in a volume", "writing beside it: read-only file system", "../etc/passwd: not within reach"]


def next_steps(program):
    return ["Try next:", f"    {program} run host -- python3 -c 'print(\"hello from inside\")'", f"    {program} doctor"]


def test_the_programs_place_stands_at_the_end(shown, as_root):
    assert shown.stdout.splitlines()[-4:] == [f"==> all eleven ended as they should. The program is {as_root.binary}", *next_steps(as_root.binary)]


def programs_without_engine(as_root, directory):
    directory.mkdir(parents=True, exist_ok=True)
    for program in as_root.binary.parent.glob("cloister*"):
        if program.name not in ENGINE and program.is_file():
            shutil.copy2(program, directory / program.name)
    return directory / "cloister"


def assert_left_out(done, program, why):
    """In one line; and what there is ends well."""
    assert (done.returncode, done.stderr) == (0, ""), done
    titles = re.findall(r"^(\d+\. .*)$", done.stdout, re.MULTILINE)
    assert titles == SEVEN and len(results(done.stdout)) == len(SEVEN)
    assert done.stdout.splitlines()[-5:] == [f"==> all seven ended as they should; WebAssembly is left out: {why}", f"==> the program is {program}",
                                             *next_steps(program)]


def test_a_program_without_the_engine_leaves_the_modules_out(as_root, demo, world):
    program = programs_without_engine(as_root, world.directory("no-engine"))
    assert_left_out(demo(as_root, program), program, "its programs are not there; make wasm builds them")


@pytest.fixture(scope="module")
def programs(world):
    """A directory of this host's programs without what builds the engine."""
    directory = world.directory("programs")
    for found in ("/usr/local/bin", "/usr/bin", "/usr/sbin", "/sbin", "/bin"):
        for program in Path(found).iterdir():
            if program.name not in BUILDERS and not (directory / program.name).is_symlink():
                (directory / program.name).symlink_to(program)
    return directory


@pytest.mark.parametrize("there, why", [
    ((), "its engine wants cargo-web rustc-web cmake: sudo apt-get install cargo-web rustc-web cmake, then make wasm"),
    (("cargo", "rustc"), "its engine wants cmake: sudo apt-get install cmake, then make wasm"),
    (BUILDERS, "its engine could not be built; make wasm tries again")], ids=["no-rust", "no-cmake", "no-sources"])
def test_where_the_engine_cannot_be_built_the_modules_are_left_out(as_root, checkout, world, programs, there, why):
    """make demo itself, in a checkout whose scripts get nothing and build nothing."""
    here = checkout("cannot-build")
    program = programs_without_engine(as_root, here / "build/bin")
    scripts = {"packaging/install-packages.sh": "[ $1 != wasm ] || { echo there is no network >&2; false; }",
               "tools/build.sh": "[ $1 != wasm ]", "tools/check-binary.sh": ":", **{f"builders/{name}": ":" for name in there}}
    for name, script in scripts.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(f"#!/bin/sh\n{script}\n")
        (here / name).chmod(0o755)
    shutil.copytree(TOP / "packaging/apparmor", here / "packaging/apparmor")
    environment = as_root.environment({"CLOISTER": "", "PATH": f"{here}/builders:{programs}", "HOME": str(world.directory("home"))})
    done = subprocess.run([here / "tools/demo/demo.sh"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert_left_out(done, program, why)
    assert ("==> installing what builds the WebAssembly engine: " in done.stdout) == (there != BUILDERS)


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
    assert re.fullmatch("error: did not end as it should: the honest job; .*; the spy; .*; the module's files; \n", done.stderr), done
