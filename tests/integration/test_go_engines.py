"""How lib/go_modules.py builds what Debian has not: here Go is a script that says what it was asked."""

import pytest

from lib import go_engines, go_modules, samples
from lib.go_engines import ENGINES

FAKE = """#!/bin/sh
echo "$0 $*" >> "$CALLS"
case "$1" in
version) echo "go version go$VERSION linux/amd64" ;;
mod) mkdir -p "$NEWER/bin" && cp "$0" "$NEWER/bin/go" && echo "{\\"Dir\\": \\"$NEWER\\"}" ;;
*)
    while [ "$1" != -o ]; do shift; done
    case "$2" in
    */) for name in $PROGRAMS; do echo made > "$2$name"; done ;;
    *) echo made > "$2" ;;
    esac
    ;;
esac
"""


@pytest.fixture
def cache(monkeypatch, world):
    place = world.directory("cache")
    monkeypatch.setattr(samples, "CACHE", place / "images")
    return place


@pytest.fixture
def fake(monkeypatch, world):
    """Makes the Go of a version; what it was asked is in the file that is returned."""
    place = world.directory("fake")

    def make(version):
        (place / "old").write_text(FAKE)
        (place / "old").chmod(0o755)
        names = {"VERSION": version, "NEWER": place / "newer", "CALLS": place / "calls", "PROGRAMS": " ".join(ENGINES.packages().keys() - set(ENGINES.tests))}
        for name, value in names.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(go_modules, "go_program", lambda: place / "old")
        return place / "calls"
    return make


def test_without_go_it_says_what_to_install(monkeypatch, cache):
    monkeypatch.setattr(go_modules, "go_program", lambda: None)
    with pytest.raises(RuntimeError, match="no Go here: apt-get install"):
        go_engines.programs()
    assert not [path for path in cache.glob("go/*") if path.suffix != ".lock"]


@pytest.mark.parametrize("version", ["1.26.99", "2.0"])
def test_a_go_that_is_new_enough_builds_them(cache, fake, version):
    calls = fake(version)
    made = go_engines.programs()
    assert {path.name for path in made.iterdir()} == ENGINES.packages().keys()
    assert [line.split()[1] for line in calls.read_text().splitlines()] == ["version", "build", "test"]


@pytest.mark.parametrize("version", ["1.19.8", "1.26"])
def test_an_older_go_fetches_the_one_that_is_asked_for(cache, fake, version):
    calls = fake(version)
    go_engines.programs()
    asked = [line.split() for line in calls.read_text().splitlines()]
    assert [words[1] for words in asked] == ["version", "mod", "build", "test"]
    wanted = ".".join(map(str, ENGINES.wanted_version()))
    assert asked[1][-1].startswith(f"golang.org/toolchain@v0.0.1-go{wanted}.linux-")
    assert [words[0].endswith("/newer/bin/go") for words in asked] == [False, False, True, True]


def test_a_second_build_does_nothing(cache, fake):
    calls = fake("2.0")
    made = go_engines.programs()
    calls.unlink()
    assert go_engines.programs() == made and not calls.exists()


def test_a_build_that_fails_leaves_nothing(monkeypatch, cache, fake):
    fake("2.0")
    monkeypatch.setattr(ENGINES, "tests", ("no-such-package",))
    with pytest.raises(KeyError):
        go_engines.programs()
    assert not [path for path in cache.glob("go/*") if path.suffix != ".lock"]
