"""Manifests, indexes and configs that nobody should make, and archives of them."""

import json
import os
import re

import pytest

from lib import layouts, packing, samples, tars, web_faults as faults
from lib.images import (INDEX, MANIFEST, SOME_DIGEST, WASM_LAYER, Blob, Image, Layer, as_json, both_kinds, descriptor, foreign_layer, layer_descriptor,
                        looping_index, make_config, make_image, make_index, make_layer, module_image, nested_index, schema1, sha256)
from lib.patience import patience

LAYERS = [make_layer([tars.directory("etc"), tars.file("etc/text", "x")])]
GOOD = make_image(LAYERS)
MODULE = b"\0asm\1\0\0\0"
HEX = "0" * 64


def without(image, *path, **changes):
    """The manifest with other values below a path: without(GOOD, "layers", 0, digest="x")."""
    value = json.loads(image.manifest)
    place = value
    for step in path:
        place = place[step]
    for key, new in changes.items():
        if new is None:
            del place[key]
        else:
            place[key] = new
    return Image(as_json(value), image.media_type, image.blobs, image.children, image.layers, image.config)


def raw(data, media_type=MANIFEST["oci"], image=GOOD):
    return Image(data, media_type, image.blobs, layers=image.layers, config=image.config)


def with_config(data, **more):
    return make_image(LAYERS, config_bytes=data, **more)


def config(**changes):
    return with_config(make_config(LAYERS, **changes))


def typed(layer, media_type):
    return Layer(layer.blob, layer.diff_id, layer.compression, {"mediaType": media_type})


@pytest.fixture
def pull_image(pulls, fake_registry):
    def pull(image, *options):
        return pulls.pull("-q", *options, fake_registry.add(image))
    return pull


def refused(pulls, outcome, *needles):
    outcome.refused(r"image 127\.0\.0\.1:\d+/some/name:latest: ", *needles)
    pulls.is_empty()
    assert outcome.seconds < patience(20), f"{outcome}"


DIGESTS = {
    "path": "sha256:" + "../" * 20 + "etc/passwd", "path-of-its-length": ("sha256:" + "../" * 30)[:71], "slash": "sha256:" + "/" + HEX[1:], "short": "sha256:1234",
    "upper-case": "sha256:" + "A" * 64, "sha512": "sha512:" + "0" * 128, "md5": "md5:" + "0" * 32, "no-colon": HEX, "newline": f"sha256:{HEX[1:]}\n",
    "nul": f"sha256:{HEX[1:]}\0", "empty": "", "long": "sha256:" + "0" * 100_000, "percent": "sha256:%2e%2e%2f" + "0" * 55,
}


@pytest.mark.parametrize("what", DIGESTS)
@pytest.mark.parametrize("where", ["layer", "config", "index", "diff_id"])
def test_digests_that_are_none(pulls, pull_image, where, what):
    text = DIGESTS[what]
    if where == "layer":
        image = without(GOOD, "layers", 0, digest=text)
    elif where == "config":
        image = without(GOOD, "config", digest=text)
    elif where == "diff_id":
        image = config(rootfs={"type": "layers", "diff_ids": [text]})
    else:
        image = make_index([GOOD], lies=[{"digest": text}])
    refused(pulls, pull_image(image), "digest|diff_id|sha512|u0000")


SIZES = {"negative": -1, "fraction": 1.5, "text": "100", "huge": 10**30, "largest": (1 << 63) - 1, "exponent": 1e300, "null-like": [], "bool": True}


@pytest.mark.parametrize("what", SIZES)
@pytest.mark.parametrize("where", ["layers", "config"])
def test_sizes_that_are_none(pulls, pull_image, where, what):
    path = ["layers", 0] if where == "layers" else ["config"]
    refused(pulls, pull_image(without(GOOD, *path, size=SIZES[what])))


# the document, and the words of its error
DOCUMENTS = {
    "empty": (raw(b""), []),
    "no-json": (raw(b"<html>no</html>"), []),
    "cut": (raw(GOOD.manifest[:-20]), []),
    "array": (raw(b"[]"), []),
    "duplicate": (raw(GOOD.manifest.replace(b'"schemaVersion": 2', b'"schemaVersion": 2, "schemaVersion": 2')), ["duplicate|twice"]),
    "deep": (raw(b"[" * 100_000 + b"]" * 100_000), []),
    "bad-utf8": (raw(GOOD.manifest.replace(b"schemaVersion", b"schema\xffVersion")), []),
    "more-behind": (raw(GOOD.manifest + b"{}"), []),
    "no-version": (without(GOOD, schemaVersion=None), ["schemaVersion"]),
    "version-1-of-oci": (without(GOOD, schemaVersion=1), ["schema"]),
    "version-3": (without(GOOD, schemaVersion=3), ["schemaVersion", "3"]),
    "no-config": (without(GOOD, config=None), ["config"]),
    "no-layers": (without(GOOD, layers=None), ["layers"]),
    "layers-are-text": (without(GOOD, layers="x"), ["layers"]),
    "no-digest": (without(GOOD, "layers", 0, digest=None), ["digest"]),
    "no-size": (without(GOOD, "layers", 0, size=None), ["size"]),
    "no-type": (without(GOOD, "layers", 0, mediaType=None), ["mediaType"]),
    # what it is, is said twice
    "image-and-index": (both_kinds(GOOD), ["both an image .* and an index"]),
    "image-that-calls-itself-index": (without(GOOD, mediaType=INDEX["oci"]), ["calls itself"]),
    "image-sent-as-index": (Image(GOOD.manifest, INDEX["oci"], GOOD.blobs), ["calls itself"]),
    "index-sent-as-image": (Image(make_index([GOOD]).manifest, MANIFEST["oci"], children=[GOOD]), ["calls itself"]),
    "untyped-image-sent-as-index": (Image(without(GOOD, mediaType=None).manifest, INDEX["oci"], GOOD.blobs), ["index"]),
    "schema-1": (schema1(LAYERS), ["schema 1"]),
    "schema-1-signed": (schema1(LAYERS, signed=True), ["schema 1"]),
    "schema-1-and-2": (raw(as_json({**json.loads(GOOD.manifest), **json.loads(schema1(LAYERS).manifest), "schemaVersion": 2})), ["schema 1"]),
    "html-type": (raw(GOOD.manifest, "text/html"), ["text/html|media type|calls itself"]),
    "component-of-another-interface": (module_image(MODULE, config={"os": "wasip3"}), ["built for \"wasip3\""]),
    "module-of-no-interface": (module_image(MODULE, config={"os": "browser"}), ["built for \"browser\""]),
    "module-for-a-machine": (module_image(MODULE, config={"architecture": "amd64"}), ["architecture: expected wasm"]),
    "module-that-its-config-does-not-know": (module_image(MODULE, config={"layerDigests": [SOME_DIGEST]}), ["the image's config says"]),
    "module-that-its-config-has-twice": (module_image(MODULE, config={"layerDigests": [sha256(MODULE)] * 2}), ["has 1 layers, .* knows 2"]),
    "module-of-a-layer": (module_image(MODULE, layers=[layer_descriptor(LAYERS[0])]), ["layers.0.: .*module"]),
    "module-of-none": (module_image(MODULE, layers=[]), ["0 WebAssembly modules"]),
    "module-of-two": (module_image(MODULE, layers=[descriptor(Blob(MODULE), WASM_LAYER)] * 2), ["2 WebAssembly modules"]),
    "module-of-another-size": (module_image(MODULE, descriptor_lies={"size": len(MODULE) + 1}), []),
    "module-that-is-huge": (module_image(MODULE, descriptor_lies={"size": 1 << 40}), ["more than 256 MiB"]),
    "module-of-an-older-layout": (module_image(MODULE, layers=[descriptor(Blob(MODULE), "application/vnd.wasm.content.layer.v1+wasm")]),
                                  ["layout of before"]),
    "module-among-layers": (make_image([LAYERS[0], typed(LAYERS[0], WASM_LAYER)]), ["module among layers"]),
    "image-of-wasip3": (config(architecture="wasm", os="wasip3"), ["built for \"wasip3\""]),
    "helm-chart": (make_image(LAYERS, config_lies={"mediaType": "application/vnd.cncf.helm.config.v1+json"}), ["not a container image|media type", "helm"]),
    "layer-of-unknown-type": (make_image([typed(LAYERS[0], "application/vnd.oci.image.layer.v1.tar+brotli")]), ["brotli"]),
    "layer-encrypted": (make_image([typed(LAYERS[0], "application/vnd.oci.image.layer.v1.tar+gzip+encrypted")]), ["encrypted"]),
    "layer-with-escapes": (make_image([typed(LAYERS[0], "x\033[31m\n")]), []),
    "too-many-layers": (raw(as_json({**json.loads(GOOD.manifest), "layers": [layer_descriptor(LAYERS[0])] * 5000})), ["layers"]),
    "foreign-layer": (make_image([foreign_layer(LAYERS[0])]), []),
    "index-of-nothing": (make_index([]), ["no image"]),
    "index-of-others": (make_index([GOOD], [("plan9", "amd64")]), ["plan9/amd64", "linux/amd64"]),
    "index-with-a-size-that-lies": (make_index([GOOD], lies=[{"size": 1 << 40}]), ["bytes", "index says 1099511627776"]),
    "index-of-many": (Image(as_json({"schemaVersion": 2, "mediaType": INDEX["oci"], "manifests": [
        {"mediaType": MANIFEST["oci"], "digest": GOOD.digest, "size": 1, "platform": {"os": f"os{n}", "architecture": "x"}} for n in range(20_000)]}), INDEX["oci"]), []),
    "nested-too-deep": (nested_index(GOOD, 10), ["deep|index"]),
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_manifest_is_refused(pulls, pull_image, fake_registry, what):
    image, needles = DOCUMENTS[what]
    if what == "foreign-layer":  # its bytes are somewhere else
        image.blobs = image.blobs[:1]
    refused(pulls, pull_image(image), *needles)


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_foreign_layer_whose_bytes_are_there_is_a_layer(pulls, pull_image, kind):
    image = make_image([foreign_layer(LAYERS[0], kind)], kind=kind)
    pull_image(image).ok()
    pulls.has(image)


def test_foreign_layers_urls_are_not_asked(pulls, pull_image, elsewhere):
    image = make_image([foreign_layer(LAYERS[0], urls=[f"{elsewhere.url}/layer"])])
    image.blobs = image.blobs[:1]
    refused(pulls, pull_image(image), "layer sha256:")
    assert not elsewhere.seen()


def test_index_that_lists_itself(pulls, fake_registry):
    """Nobody can make such a digest true, and so it isn't."""
    digest = "sha256:" + "5" * 64
    image = looping_index(digest)
    fake_registry.put_manifest("some/name", digest, image.manifest, image.media_type)
    fake_registry.put_manifest("some/name", "latest", image.manifest, image.media_type)
    refused(pulls, pulls.pull("-q", f"{fake_registry.address}/some/name"), "5555", "asked for")
    assert len(fake_registry.seen("/manifests/")) <= 5


def test_manifest_of_more_bytes_than_any_has(pulls, pull_image):
    refused(pulls, pull_image(raw(b" " * (5 << 20) + GOOD.manifest)), "bytes")


def test_config_of_more_bytes_than_any_has(pulls, pull_image):
    data = make_config(LAYERS)[:-1] + b" " * (5 << 20) + b"}"
    refused(pulls, pull_image(with_config(data)), "config|bytes")


CONFIGS = {
    "empty": (with_config(b""), []),
    "no-json": (with_config(b"no"), ["config"]),
    "array": (with_config(b"[]"), ["config"]),
    "duplicate": (with_config(make_config(LAYERS).replace(b'"os"', b'"os": "linux", "os"')), ["config"]),
    "no-rootfs": (config(rootfs=None), ["rootfs"]),
    "other-rootfs": (config(rootfs={"type": "raw", "diff_ids": [LAYERS[0].diff_id]}), ["rootfs"]),
    "fewer-diff-ids": (config(rootfs={"type": "layers", "diff_ids": []}), ["1 layers?", "0"]),
    "more-diff-ids": (config(rootfs={"type": "layers", "diff_ids": [LAYERS[0].diff_id] * 2}), ["1 layers?", "2"]),
    "other-diff-id": (config(rootfs={"type": "layers", "diff_ids": ["sha256:" + "7" * 64]}), ["777777777777"]),
    "windows": (with_config(make_config(LAYERS, platform=("windows", "amd64"))), ["windows"]),
    "env": (with_config(make_config(LAYERS, {"Env": ["no-equals"]})), ["Env", "no-equals"]),
    "env-number": (with_config(make_config(LAYERS, {"Env": [1]})), ["Env"]),
    "cmd-is-text": (with_config(make_config(LAYERS, {"Cmd": "/bin/sh"})), ["Cmd"]),
    "nul-in-cmd": (with_config(make_config(LAYERS, {"Cmd": ["/bin/\0sh"]})), []),
    "user-number": (with_config(make_config(LAYERS, {"User": 0})), ["User"]),
    "deep": (with_config(b'{"a":' * 100_000), []),
}


@pytest.mark.parametrize("what", CONFIGS)
def test_config_is_refused(pulls, pull_image, what):
    image, needles = CONFIGS[what]
    refused(pulls, pull_image(image), *needles)


# what one may say, and who runs the image hears of it
LIES = {"user-unknown": {"User": "nobody-knows"}, "user-strange": {"User": "0:0:0"}, "user-huge": {"User": "99999999999"}, "user-long": {"User": "u" * 100_000},
        "directory-up": {"WorkingDir": "../../../etc"}, "directory-relative": {"WorkingDir": "relative"}, "directory-missing": {"WorkingDir": "/not/there"},
        "entrypoint-missing": {"Entrypoint": ["/not/there"]}, "signal": {"StopSignal": "SIGNOTHING"}, "env-long": {"Env": ["A=" + "x" * 500_000]}}


@pytest.mark.parametrize("what", LIES)
def test_lies_about_the_process_do_no_harm(pulls, pull_image, what):
    """The pull takes it or says why not; in no time, with nothing left."""
    outcome = pull_image(make_image(LAYERS, LIES[what]))
    assert outcome.seconds < patience(10)
    if outcome.exit == 0:
        pulls.is_settled()
    else:
        refused(pulls, outcome)


ACCOUNTS = {"fifo": [tars.fifo("etc/passwd", 0o666)], "link-to-host": [tars.symlink("etc/passwd", "/proc/self/environ")], "link-loop": [tars.symlink("etc/passwd", "passwd")],
            "link-up": [tars.symlink("etc/passwd", "../" * 30 + "etc/shadow")], "directory": [tars.directory("etc/passwd")],
            "gigabyte": [tars.sparse("etc/passwd", [(0, b"root:x:0:0::/:/bin/sh\n".ljust(512, b"\n"))], 1 << 30)],
            "long-line": [tars.file("etc/passwd", b"a" * (8 << 20))], "nul": [tars.file("etc/passwd", b"app\0:x:0:0::/:\n")],
            "etc-is-a-link": [tars.symlink("etc", "/proc/1/root/etc")], "etc-is-a-file": [tars.file("etc", "x")], "closed": [tars.file("etc/passwd", "app:x:7:7::/:/bin/sh\n", 0)]}


@pytest.mark.parametrize("what", ACCOUNTS)
def test_accounts_that_are_no_file(pulls, pull_image, what):
    """The name of the user is looked up when the image is pulled: that doesn't wait, fill the memory or leave the image."""
    image = make_image([make_layer(ACCOUNTS[what])], {"User": "app", "Cmd": ["/bin/true"]})
    outcome = pull_image(image)
    assert outcome.exit in (0, 125) and outcome.seconds < patience(10), f"{outcome}"
    pulls.is_settled()


# -- what a registry says

@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_words_of_a_registry_are_made_harmless(pulls, fake_registry, status):
    said = json.dumps({"errors": [{"code": "DENIED\033[31m", "message": "\033]0;title\007\r\ncloister: all is well\n" + "long " * 10_000}]}).encode()
    fake_registry.on("/manifests/", faults.answer(status, [("Content-Type", "application/json"), ("Retry-After", "0")], said))
    outcome = pulls.pull("-q", f"{fake_registry.address}/some/name").refused("some/name")
    assert not re.search(rb"[\0-\x09\x0b-\x1f\x7f]", outcome.err) and len(outcome.err) < 1024, f"{outcome}"


# -- archives

@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("what", ["cut", "up", "link-out", "twice", "gzip", "size"])
def test_archives_that_are_damaged(pulls, form, what):
    place = pulls.cloister.directory("archives")
    write = layouts.write_oci_archive if form == "oci-archive" else layouts.write_docker_archive
    path = write(place / "image.tar", {"name:tag": samples.small_image()})
    data = path.read_bytes()
    index = "index.json" if form == "oci-archive" else "manifest.json"
    if what == "cut":
        data = data[:len(data) // 2]
    elif what == "gzip":
        data = packing.gzip(data)
    else:
        first = {"up": tars.file("../../up", "x"), "link-out": tars.symlink(index, "/etc/passwd"), "twice": tars.file(index, b"{}"),
                 "size": tars.file("blobs/huge", "x", size=1 << 50, format="gnu")}[what]
        data = tars.tar([first], end=False) + data
    path.write_bytes(data)
    pulls.pull("-q", f"{form}:{path}").refused(re.escape(str(path)))
    pulls.is_empty()


@pytest.mark.parametrize("layers", [["../../../etc/passwd"], ["/etc/passwd"], ["a/layer.tar"] * 2, ["not-there"], [7]], ids=str)
def test_layers_of_a_saved_image_that_are_none(pulls, layers):
    place = pulls.cloister.directory("archives")
    image = samples.small_image()
    manifest = json.dumps([{"Config": sha256(image.config)[7:] + ".json", "RepoTags": ["name:tag"], "Layers": layers}]).encode()
    path = layouts.write_docker_archive(place / "image.tar", {"name:tag": image}, manifest=manifest)
    pulls.pull("-q", f"docker-archive:{path}").refused(re.escape(str(path)))
    pulls.is_empty()


@pytest.mark.parametrize("what", ["index-link", "blobs-link", "blob-link", "blob-fifo", "blob-grows"])
def test_layouts_whose_files_are_links(pulls, world, what):
    """A layout is somebody else's: what it names is looked for inside of it alone."""
    place = pulls.cloister.directory("layout")
    outside = layouts.write_oci_directory(world.directory("outside") / "image", {"x": GOOD})
    path = layouts.write_oci_directory(place / "image", {"x": GOOD})
    blob = path / "blobs" / LAYERS[0].blob.digest.replace(":", "/")
    if what == "index-link":
        (path / "index.json").unlink()
        (path / "index.json").symlink_to(outside / "index.json")
    elif what == "blobs-link":
        (path / "blobs").rename(path / "was")
        (path / "blobs").symlink_to(outside / "blobs")
    else:
        blob.unlink()
        if what == "blob-link":
            blob.symlink_to(outside / "blobs" / LAYERS[0].blob.digest.replace(":", "/"))
        elif what == "blob-fifo":
            os.mkfifo(blob, 0o666)
        else:
            blob.write_bytes(LAYERS[0].blob.whole() + b"more")
    outcome = pulls.pull("-q", f"oci:{path}:x").refused(re.escape(str(path)))
    assert outcome.seconds < patience(10), f"{outcome}"
    pulls.is_empty()
