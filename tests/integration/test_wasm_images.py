"""The wasm wall, from images: a module as an artifact, and one in an image's root file system."""

import json
import os

import pytest

from lib import layouts, tars
from lib import wasm_module as wasm
from lib.fetched import or_skip
from lib.images import Blob, make_config, make_image, make_index, make_layer, module_image, push
from lib.runner import poll, text
from lib.wasm_component import compile_component
from lib.wasm_guest import compile_guest

@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasm-images")).read_bytes()


@pytest.fixture(scope="session")
def artifact(guest):
    return module_image(guest, "guest.wasm")


def tree_image(guest, where="app/guest.wasm", config=None, more=(), **changes):
    """An image of files with the guest among them."""
    entries = [tars.directory("app", 0o755), tars.directory("etc", 0o755), tars.file("etc/text", "of the image\n"), *more]
    if guest is not None:
        entries.append(tars.file(where, guest, 0o755))
    return make_image([make_layer(entries)], config if config is not None else {"Entrypoint": ["/app/guest.wasm"]}, **changes)


@pytest.fixture
def place(pulls):
    """Writes an image as an OCI directory that everybody can read; its name for `run`."""
    def write(image, name="layout"):
        directory = layouts.write_oci_directory(pulls.cloister.directory(name) / "image", {None: image})
        return f"oci:{directory}"
    return write


@pytest.fixture
def refused(pulls):
    """A run that is: nothing is said of the pull."""
    def run(image, *needles, opts=()):
        return pulls.run(image, opts=["-q", *opts], result=False).refused(*needles)
    return run


def listed(pulls, image, path):
    """What the guest sees in a directory."""
    return sorted(set(pulls.run(image, "list", path).ok().lines()) - {".", ".."})


# -- artifacts

def test_artifact_of_a_directory(pulls, place, artifact):
    outcome = pulls.run(place(artifact), "args", "a b", "--", "-x").ok()
    assert outcome.lines() == ["[a b]", "[--]", "[-x]"] and b"in 1 layer" in outcome.err
    outcome.ended("exited", 0)
    assert outcome.result["wall"] == "wasm" and outcome.result["digest"] == artifact.digest


def test_artifact_of_an_archive(pulls, artifact):
    archive = layouts.write_oci_archive(pulls.cloister.directory("archive") / "image.tar", {"latest": artifact})
    assert pulls.run(f"oci-archive:{archive}").ok().out == b"hello\n"


def test_artifact_of_a_registry(pulls, registry, artifact, repository):
    name = push(artifact, registry, repository)
    assert pulls.run(name).ok().out == b"hello\n"
    before = len(registry.requests)
    assert pulls.run(name, "exit", "7").ended("exited", 7)
    assert len(registry.requests) == before, "an image that is there is asked for again"


def test_artifact_is_kept_like_any_image(pulls, registry, guest, artifact, repository):
    name = push(artifact, registry, repository)
    assert pulls.pull(name).ok().word() == artifact.digest
    (listed,) = json.loads(pulls.call("images", "--format", "json").ok().out)
    assert listed["platform"] == "wasip1/wasm" and len(guest) <= listed["size_bytes"] <= len(guest) + 4096
    (told,) = json.loads(pulls.call("inspect", "--image", name).ok().out)
    assert told["config"]["entrypoint"] == ["guest.wasm"] and [layer["digest"] for layer in told["layers"]] == [Blob(guest).digest]
    pulls.call("rmi", name).ok()
    pulls.is_empty()
    assert pulls.call("run", "--pull", "never", name).refused("isn't here")


def test_artifact_has_an_empty_root(pulls, place, artifact):
    image = place(artifact)
    assert listed(pulls, image, "/") == ["tmp"]
    pulls.run(image, "put", "/file", "x").ok()
    assert b"Read-only" in pulls.run(image, "put", "/file", "x", opts=["--read-only"]).err


# what its writer calls its file, and the first of its arguments
TITLES = {"a plain name": ("guest.wasm", "guest.wasm"), "none": (None, "module.wasm"), "a path": ("build/release/x.wasm", "x.wasm"),
          "a way out": ("../../../etc/passwd", "passwd"), "parents alone": ("../..", "module.wasm"), "a directory": ("x/", "module.wasm"),
          "empty": ("", "module.wasm"), "an option": ("--help", "--help"), "huge": ("x" * 5000, "module.wasm")}


@pytest.mark.parametrize("what", TITLES)
def test_title_is_a_word(pulls, place, guest, what):
    title, expected = TITLES[what]
    pulls.run(place(module_image(guest, title))).ok()
    (digest,) = pulls.names("launch")
    (told,) = json.loads(pulls.call("inspect", "--image", digest[:12]).ok().out)
    assert told["config"]["entrypoint"] == [expected]


@pytest.mark.parametrize("config", [b"{}", {"layerDigests": None}, {"os": "wasi"}, {"os": None, "architecture": None}])
def test_configs_that_say_little(pulls, place, guest, config):
    assert pulls.run(place(module_image(guest, config=config))).ok().out == b"hello\n"


@pytest.mark.parametrize("type", ["application/vnd.wasm.config.v0+json", "application/wasm", "application/vnd.wasm.module.v1+wasm"])
def test_artifact_type_of_a_module(pulls, place, guest, type):
    image = module_image(guest, artifactType=type)
    directory = pulls.cloister.directory("typed") / "image"
    index = json.loads(layouts.index_json({None: image}))
    index["manifests"][0]["artifactType"] = type
    layouts.write_oci_directory(directory, {None: image}, json.dumps(index).encode())
    assert pulls.run(f"oci:{directory}").ok().out == b"hello\n"


def test_compiled_once(pulls, place, artifact):
    image = place(artifact)
    tenant = f"images-{os.urandom(4).hex()}"
    pulls.call("wasm", "compile", "--tenant", tenant, image).ok()
    assert "was compiled" in text(pulls.call("wasm", "compile", "--tenant", tenant, image).ok().out)


def test_the_network_is_refused_before_anything_runs(refused, place, artifact):
    refused(place(artifact), "preview 1 can open no connection", opts=["--network", "outbound"])


@pytest.mark.parametrize("kind", ["artifact", "tree"])
def test_container_wall_is_refused(pulls, refused, place, guest, artifact, kind):
    image = place(artifact if kind == "artifact" else tree_image(guest))
    refused(image, "guest.wasm\" is a WebAssembly module, which the kernel can't execute", opts=["--wall", "container"])
    assert pulls.run(image, opts=["--wall", "wasm"]).ok().out == b"hello\n"


# -- hostile artifacts

@pytest.mark.parametrize("what", ["text", "empty", "cut"])
def test_layer_that_is_no_module(pulls, refused, place, guest, what):
    data = {"text": b"#!/bin/sh\n", "empty": b"", "cut": guest[:len(guest) // 2]}[what]
    refused(place(module_image(data)), "oci:.*: at 0x")


def test_layer_of_other_bytes(pulls, fake_registry, guest):
    image = module_image(guest)
    other = guest[:-1] + bytes([guest[-1] ^ 1])
    name = fake_registry.add(image)
    fake_registry.put_blob("some/name", Blob(other), Blob(guest).digest)
    pulls.pull("-q", name).refused("the bytes that came are sha256:")
    pulls.is_empty()


def test_archive_that_is_pushed_as_a_module_is_no_layer(pulls, refused, place):
    """The bytes of somebody's layer as a module first: the image that has them as a layer gets its files all the same."""
    archive = tars.tar([tars.directory("etc"), tars.file("etc/text", "x")])
    refused(place(module_image(archive), "module"), "no WebAssembly")
    image = make_image([make_layer(archive, "none")], {"Cmd": ["/bin/true"]})
    pulls.pull("-q", place(image)).ok()
    assert "etc/text" in pulls.describe(image)
    refused(place(module_image(archive), "module"), "no WebAssembly")


def test_module_that_does_not_fit(pulls, place, artifact):
    pulls.pull("-q", "--max-size", "1KiB", place(artifact)).refused("--max-size")
    pulls.is_empty()


# -- in a root file system

def test_tree(pulls, place, guest):
    image = place(tree_image(guest))
    outcome = pulls.run(image, "cat", "/etc/text").ok()
    assert outcome.out == b"of the image\n" and outcome.result["wall"] == "wasm"
    assert listed(pulls, image, "/") == ["app", "etc", "tmp"]


def test_tree_of_layers(pulls, place, guest):
    first = make_layer([tars.directory("app"), tars.file("app/guest.wasm", b"no module"), tars.file("gone", "x")])
    second = make_layer([tars.file("app/guest.wasm", guest), tars.whiteout("gone")])
    image = place(make_image([first, second], {"Entrypoint": ["/app/guest.wasm"]}))
    assert listed(pulls, image, "/") == ["app", "tmp"]


def test_nothing_of_the_host_is_in_a_tree(pulls, place, guest):
    more = [tars.directory("proc"), tars.file("proc/version", "x"), tars.directory("dev"), tars.file("dev/null", "x"),
            tars.symlink("out", "../../../../etc/passwd"), tars.symlink("up", "/etc/passwd")]
    image = place(tree_image(guest, more=more))
    for directory in ("/proc", "/dev"):
        assert listed(pulls, image, directory) == []
    for link in ("out", "up"):
        outcome = pulls.run(image, "cat", f"/{link}")
        assert outcome.exit == 1 and outcome.out == b"", str(outcome)


def test_environment_arguments_and_directory_are_the_images(pulls, place, guest):
    config = {"Entrypoint": ["/app/guest.wasm"], "Cmd": ["env"], "Env": ["A=of the image", "B=too"], "WorkingDir": "/app"}
    image = place(tree_image(guest, config=config))
    lines = pulls.run(image, opts=["-e", "B=of the caller"]).ok().lines()
    assert {"A=of the image", "B=of the caller", "PWD=/app"} <= set(lines)
    assert pulls.run(image, "args", "x").ok().lines() == ["[x]"]
    assert "PWD=/etc" in pulls.run(image, opts=["-w", "/etc"]).ok().lines()


def test_what_can_be_written(pulls, place, guest):
    """As behind the container wall: the working directory and /tmp, copy-on-write; nothing stays."""
    image = place(tree_image(guest, config={"Entrypoint": ["/app/guest.wasm"], "WorkingDir": "/app"}))
    for path in ("/app/file", "/tmp/file"):
        pulls.run(image, "put", path, "x").ok()
    assert b"Read-only" in pulls.run(image, "put", "/etc/file", "x").err
    assert listed(pulls, image, "/app") == ["guest.wasm"]
    before = pulls.snapshot()
    pulls.run(image, "put", "/app/own", "x").ok()
    assert pulls.snapshot() == before and pulls.run(image).ok().out == b"hello\n"


# where the module is, and what the image says of its command
ENTRIES = {
    "relative": ("app/guest.wasm", {"Entrypoint": ["./guest.wasm"], "WorkingDir": "/app"}), "a name": ("app/guest.wasm", {"Cmd": ["guest.wasm"], "WorkingDir": "/app"}),
    "in PATH": ("usr/bin/guest.wasm", {"Cmd": ["guest.wasm"], "Env": ["PATH=/bin:/usr/bin"]}), "command": ("guest.wasm", {"Cmd": ["/guest.wasm"]}),
    "with dots": ("app/guest.wasm", {"Cmd": ["/etc/../app/./guest.wasm"]}),
}


@pytest.mark.parametrize("what", ENTRIES)
def test_entry_points(pulls, place, guest, what):
    where, config = ENTRIES[what]
    directories = [tars.directory("usr"), tars.directory("usr/bin")]
    assert pulls.run(place(tree_image(guest, where, config, directories))).ok().out == b"hello\n"


@pytest.mark.parametrize("mark", ["compat", "compat-smart", "architecture"])
def test_module_by_its_images_word(pulls, refused, place, guest, mark):
    """Whatever its name is."""
    layers = [make_layer([tars.file("plugin", guest, 0o755)])]
    config = {"Entrypoint": ["/plugin"]}
    if mark == "architecture":
        image = make_image(layers, config_bytes=make_config(layers, config, platform=("wasi", "wasm")))
    else:
        image = make_image(layers, config, annotations={"module.wasm.image/variant": mark})
    name = place(image)
    assert pulls.run(name).ok().result["wall"] == "wasm"
    refused(name, "plugin\" is a WebAssembly module", opts=["--wall", "container"])


def test_module_by_the_callers_word(pulls, place, guest):
    image = place(make_image([make_layer([tars.file("plugin", guest, 0o755)])], {"Entrypoint": ["/plugin"]}))
    assert pulls.run(image).exit == 126, "a program for the kernel, which it isn't"
    assert pulls.run(image, opts=["--wall", "wasm"]).ok().out == b"hello\n"


def test_another_variant_is_an_ordinary_image(pulls, place, probe):
    image = make_image([make_layer([tars.file("probe", probe.read_bytes(), 0o755)])], {"Entrypoint": ["/probe"]}, annotations={"module.wasm.image/variant": "x"})
    assert pulls.run(place(image), "exit", "0").result["wall"] == "container"


def test_directory_as_an_image(pulls, guest, world):
    tree = world.directory("wasm-tree")
    (tree / "guest.wasm").write_bytes(guest)
    (tree / "guest.wasm").chmod(0o644)
    (tree / "text").write_text("x")
    assert pulls.run(f"rootfs:{tree}", "/guest.wasm", "cat", "/text").ok().out == b"x"


def test_volumes_in_a_tree(pulls, refused, place, guest, world):
    shared = world.directory("wasm-shared")
    (shared / "in").write_text("from outside")
    image = place(tree_image(guest))
    assert pulls.run(image, "cat", "/data/in", opts=["-v", f"{shared}:/data"]).ok().out == b"from outside"
    refused(image, "/app/guest.wasm lies under /app", opts=["-v", f"{shared}:/app"])


# -- hostile trees: what the entry point leads to

HOSTILE = {
    "a link out": ([tars.symlink("app/guest.wasm", "../../../../../../etc/passwd")], ["there is no /app/guest.wasm"]),
    "an absolute link": ([tars.symlink("app/guest.wasm", "/etc/shadow")], ["there is no /app/guest.wasm"]),
    "a link to itself": ([tars.symlink("app/guest.wasm", "guest.wasm")], ["open /app/guest.wasm: .*link"]),
    "a link to no module": ([tars.symlink("app/guest.wasm", "/etc/text")], ["at 0x0: this is no WebAssembly"]),
    "a FIFO": ([tars.fifo("app/guest.wasm")], ["/app/guest.wasm: not a regular file"]),
    "a directory": ([tars.directory("app/guest.wasm")], ["/app/guest.wasm: not a regular file"]),
    "nothing": ([], ["there is no /app/guest.wasm"]),
    "below a file": ([tars.file("app/guest", "x")], ["there is no /app/guest.wasm"]),
    "huge": ([tars.sparse("app/guest.wasm", [], 300 << 20)], ["is larger than"]),
    "a component that is cut": ([tars.file("app/guest.wasm", wasm.COMPONENT + b"\1")], ["/app/guest.wasm: at 0x9: "]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_entry_point_that_is_none(pulls, refused, place, what):
    entries, needles = HOSTILE[what]
    refused(place(tree_image(None, more=entries)), "^cloister: image oci:", *needles)


def test_link_within_the_tree_is_followed(pulls, place, guest):
    more = [tars.directory("lib"), tars.file("lib/real", guest), tars.symlink("app/guest.wasm", "/lib/real")]
    assert pulls.run(place(tree_image(None, more=more))).ok().out == b"hello\n"


# -- with a tenant

def test_tenant(pulls, refused, place, guest, artifact):
    """An artifact may run beside others of its tenant; an image's files are one module's root, which has a worker of its own."""
    opts = ["--tenant", f"images-{os.urandom(4).hex()}"]
    tree = place(tree_image(guest), "tree")
    for image in (place(artifact), tree):
        assert pulls.run(image, opts=opts).ok().out == b"hello\n"
    refused(tree, "coroutine: a worker has a root directory for all of its modules together", opts=[*opts, "--wasm-model", "coroutine"])


# -- indexes

def test_index_that_has_programs_too(pulls, registry, guest, artifact, repository, probe):
    program = make_image([make_layer([tars.file("probe", probe.read_bytes(), 0o755)])], {"Entrypoint": ["/probe"]})
    name = push(make_index([program, artifact], [("linux", "amd64"), ("wasip1", "wasm")]), registry, repository)
    assert pulls.pull(name).ok().word() == program.digest
    assert pulls.pull("--platform", "wasip1/wasm", name).ok().word() == artifact.digest
    assert pulls.run(name).ok().out == b"hello\n"


def test_index_of_modules_alone(pulls, place, artifact):
    """A module is taken before a component, which is taken where there is nothing else."""
    empty = module_image(wasm.COMPONENT, config={"os": "wasip2"})
    index = make_index([empty, artifact], [("wasip2", "wasm"), ("wasip1", "wasm")])
    assert pulls.run(place(index)).ok().out == b"hello\n"
    outcome = pulls.run(place(make_index([empty], [("wasip2", "wasm")]), "other"))
    outcome.ended("exited", 126)
    assert "no wasi:cli/run" in outcome.result["error"]


# -- components

@pytest.fixture(scope="session")
def component(world):
    return or_skip(compile_component, world.directory("component-images")).read_bytes()


@pytest.mark.parametrize("os_of_it", ["wasip2", "wasip1"])
def test_component_of_an_artifact(pulls, place, component, os_of_it):
    outcome = pulls.run(place(module_image(component, "guest.wasm", config={"os": os_of_it})), "args", "a b").ok()
    assert outcome.lines() == ["[a b]"]
    outcome.ended("exited", 0)


def test_component_among_files(pulls, place, component):
    image = place(tree_image(component))
    assert pulls.run(image).ok().out == b"hello\n"
    assert pulls.run(image, "cat", "/etc/text").ok().out == b"of the image\n"


# -- afterwards

def test_detached(pulls, place, artifact):
    id = pulls.cloister.detach(place(artifact), "exit", "3", env=pulls.env).ok().word()
    assert pulls.call("wait", id).ok().word() == "3"
    pulls.call("rm", id).ok()


def test_image_in_use_stays(pulls, registry, artifact, repository):
    name = push(artifact, registry, repository)
    with pulls.cloister.start(name, "rest", "60000", env=pulls.env) as running:
        poll(lambda: [one for one in json.loads(pulls.call("ps", "--format", "json").ok().out) if one["image"] == name], 10, "it never ran")
        pulls.call("rmi", name).refused("in use")
        running.process.terminate()
        running.wait()
    pulls.call("rmi", name).ok()
