"""Images made of bytes: layers, configs, manifests and indexes, true ones and others.

    image = make_image([make_layer([tars.file("hello", "hi")])], config={"Cmd": ["/bin/sh"]})
    push(image, registry, "some/name", "latest")

Whatever a maker is told by `lies` or by further keywords replaces what would be there. Where
the pieces go: lib/registry.py and lib/fake_registry.py serve them, lib/layouts.py writes files.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from lib import packing, tars
from lib.web import connect

OCI, DOCKER = "application/vnd.oci.image", "application/vnd.docker"
MANIFEST = {"oci": f"{OCI}.manifest.v1+json", "docker": f"{DOCKER}.distribution.manifest.v2+json"}
INDEX = {"oci": f"{OCI}.index.v1+json", "docker": f"{DOCKER}.distribution.manifest.list.v2+json"}
CONFIG = {"oci": f"{OCI}.config.v1+json", "docker": f"{DOCKER}.container.image.v1+json"}
SCHEMA1 = f"{DOCKER}.distribution.manifest.v1+json"
SCHEMA1_SIGNED = f"{DOCKER}.distribution.manifest.v1+prettyjws"
LAYER = {("oci", "none"): f"{OCI}.layer.v1.tar", ("oci", "gzip"): f"{OCI}.layer.v1.tar+gzip", ("oci", "zstd"): f"{OCI}.layer.v1.tar+zstd",
         ("docker", "none"): f"{DOCKER}.image.rootfs.diff.tar", ("docker", "gzip"): f"{DOCKER}.image.rootfs.diff.tar.gzip",
         ("docker", "zstd"): f"{DOCKER}.image.rootfs.diff.tar.zstd"}
FOREIGN = {"oci": f"{OCI}.layer.nondistributable.v1.tar+gzip", "docker": f"{DOCKER}.image.rootfs.foreign.diff.tar.gzip"}
WASM_CONFIG, WASM_LAYER = "application/vnd.wasm.config.v0+json", "application/wasm"
SOME_DIGEST = "sha256:" + "5" * 64  # of nothing that is anywhere
CREATED = "2023-11-14T22:13:20Z"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def as_json(value):
    return json.dumps(value, indent=1).encode()


@dataclass(eq=False)
class Blob:
    """Bytes in memory, in a file, or to be repeated (packing.Repeated); `digest` can be a lie."""

    source: object

    @cached_property
    def size(self):
        return self.source.stat().st_size if isinstance(self.source, Path) else len(self.source)

    @cached_property
    def digest(self):
        return "sha256:" + packing.digest_of(self.chunks())

    def chunks(self, piece=1 << 20):
        if isinstance(self.source, Path):
            with open(self.source, "rb") as opened:
                while data := opened.read(piece):
                    yield data
        elif isinstance(self.source, packing.Repeated):
            yield from self.source
        else:
            yield self.source

    def part(self, first, last):
        """The bytes from the one to the other, both included, in pieces."""
        if isinstance(self.source, Path):
            with open(self.source, "rb") as opened:
                opened.seek(first)
                left = last + 1 - first
                while left and (data := opened.read(min(left, 1 << 20))):
                    left -= len(data)
                    yield data
            return
        at = 0
        for data in self.chunks():
            wanted = data[max(first - at, 0):last + 1 - at] if at <= last else b""
            at += len(data)
            if wanted:
                yield wanted
            if at > last:
                return

    def whole(self):
        return b"".join(self.chunks())


@dataclass(eq=False)
class Layer:
    blob: Blob
    diff_id: str
    compression: str = "gzip"
    lies: dict = field(default_factory=dict)  # of its descriptor: mediaType, digest, size, urls, annotations, ...


def make_layer(entries, compression="gzip", diff_id=None, **lies):
    """A layer of entries (lib/tars.py), or of the bytes of any archive."""
    archive = entries if isinstance(entries, bytes) else tars.tar(entries)
    return Layer(Blob(packing.compress(archive, compression)), diff_id or sha256(archive), compression, lies)


def bomb_layer(size, compression="gzip", **lies):
    made = packing.bomb(size, compression)
    return Layer(Blob(made.stream), made.diff_id or SOME_DIGEST, compression, lies)


def layer_of_blob(data, diff_id=SOME_DIGEST, compression="gzip", **lies):
    """Any bytes as a layer's blob: a broken stream, for instance. data may be a Path."""
    return Layer(Blob(data), diff_id, compression, lies)


def descriptor(blob, media_type, /, **lies):
    made = {"mediaType": media_type, "digest": blob.digest, "size": blob.size, **lies}
    return {key: value for key, value in made.items() if value is not None}  # None: leave it out


def layer_descriptor(layer, kind="oci"):
    family = {"members": "gzip", "frames": "zstd"}.get(layer.compression, layer.compression)
    return descriptor(layer.blob, LAYER[kind, family], **layer.lies)


@dataclass(eq=False)
class Image:
    """A manifest or an index, with all that it refers to."""

    manifest: bytes
    media_type: str
    blobs: list = field(default_factory=list)      # of Blob
    children: list = field(default_factory=list)   # of Image: what an index lists
    layers: list = field(default_factory=list)
    config: bytes = b""

    @property
    def digest(self):
        return sha256(self.manifest)

    def all_blobs(self):
        found = {blob.digest: blob for child in self.children for blob in child.all_blobs()}
        found.update((blob.digest, blob) for blob in self.blobs)
        return list(found.values())

    def all_manifests(self):
        """This one and those below it, the deepest first."""
        return [image for child in self.children for image in child.all_manifests()] + [self]


def make_config(layers, /, config=None, platform=("linux", "amd64"), **changes):
    """The config's JSON; `config` is its part of Cmd, Env and so on, `changes` those of the whole."""
    value = {"created": CREATED, "os": platform[0], "architecture": platform[1], **({"variant": platform[2]} if len(platform) > 2 else {}),
             "config": config or {}, "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
             "history": [{"created": CREATED, "created_by": f"layer {number}"} for number, _ in enumerate(layers)], **changes}
    return as_json({key: part for key, part in value.items() if part is not None})


def make_image(layers, /, config=None, kind="oci", config_bytes=None, config_lies=None, media_type=None, **changes):
    """An image; `changes` are fields of its manifest (None leaves one out), config_bytes the whole config.

    config_lies are of the config's descriptor. What takes the platform and other fields of the
    config: make_config().
    """
    data = make_config(layers, config) if config_bytes is None else config_bytes
    value = {"schemaVersion": 2, "mediaType": MANIFEST[kind], "config": descriptor(Blob(data), CONFIG[kind], **(config_lies or {})),
             "layers": [layer_descriptor(layer, kind) for layer in layers], **changes}
    manifest = as_json({key: part for key, part in value.items() if part is not None})
    return Image(manifest, media_type or MANIFEST[kind], [Blob(data), *(layer.blob for layer in layers)], layers=list(layers), config=data)


def make_index(images, platforms=(), kind="oci", lies=(), **changes):
    """An index of images (or indexes), each for its platform: (os, architecture[, variant]), or None for no word of it."""
    listed = []
    for number, image in enumerate(images):
        platform = platforms[number] if number < len(platforms) else ("linux", "amd64")
        said = {} if platform is None else {"platform": dict(zip(("os", "architecture", "variant"), platform))}
        lie = lies[number] if number < len(lies) else {}
        listed.append({"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest), **said, **lie})
    value = {"schemaVersion": 2, "mediaType": INDEX[kind], "manifests": listed, **changes}
    return Image(as_json({key: part for key, part in value.items() if part is not None}), INDEX[kind], children=list(images))


# -- those that nobody should make

def both_kinds(image, kind="oci"):
    """A manifest that is an index too: it has layers of its own, and lists the honest image."""
    value = json.loads(image.manifest)
    value["manifests"] = [{"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest),
                           "platform": {"os": "linux", "architecture": "amd64"}}]
    return Image(as_json(value), MANIFEST[kind], image.blobs, [image], image.layers, image.config)


def nested_index(image, depth, kind="oci"):
    for _ in range(depth):
        image = make_index([image], kind=kind)
    return image


def looping_index(digest, media_type=INDEX["oci"], size=500):
    """An index that lists what has this digest: served under that very digest (which nobody can make true), it lists itself."""
    value = {"schemaVersion": 2, "mediaType": media_type,
             "manifests": [{"mediaType": media_type, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": "amd64"}}]}
    return Image(as_json(value), media_type)


def schema1(layers, name="some/name", tag="latest", signed=False):
    """Docker's manifest of before 2015."""
    value = {"schemaVersion": 1, "name": name, "tag": tag, "architecture": "amd64",
             "fsLayers": [{"blobSum": layer.blob.digest} for layer in reversed(layers)],
             "history": [{"v1Compatibility": json.dumps({"id": hashlib.sha256(layer.diff_id.encode()).hexdigest()})} for layer in reversed(layers)]}
    if signed:
        value["signatures"] = [{"header": {"alg": "ES256"}, "signature": "c2ln", "protected": "e30"}]
    return Image(as_json(value), SCHEMA1_SIGNED if signed else SCHEMA1, [layer.blob for layer in layers], layers=list(layers))


def foreign_layer(layer, kind="oci", urls=("https://127.0.0.1:1/layer",)):
    """A nondistributable layer: its bytes are somewhere else."""
    return replace(layer, lies={**layer.lies, "mediaType": FOREIGN[kind], "urls": list(urls)})


def module_image(module, title=None, config=None, layers=None, descriptor_lies=None, **changes):
    """A WebAssembly module as an artifact (CNCF's layout); MODULE is bytes or a Path, CONFIG what the config says besides, or its bytes."""
    blob = Blob(module)
    said = {"created": CREATED, "architecture": "wasm", "os": "wasip1", "layerDigests": [blob.digest], **(config if isinstance(config, dict) else {})}
    data = Blob(config if isinstance(config, bytes) else as_json({key: part for key, part in said.items() if part is not None}))
    annotations = {"annotations": {"org.opencontainers.image.title": title}} if title is not None else {}
    listed = layers if layers is not None else [descriptor(blob, WASM_LAYER, **annotations, **(descriptor_lies or {}))]
    value = {"schemaVersion": 2, "mediaType": MANIFEST["oci"], "config": descriptor(data, WASM_CONFIG), "layers": listed, **changes}
    manifest = as_json({key: part for key, part in value.items() if part is not None})
    return Image(manifest, MANIFEST["oci"], [data, blob], config=data.whole())


# -- into a registry, by its own protocol (the distribution spec, "Push")

class Push:
    """A connection that pushes; credentials: (user, password), or the text of a bearer token."""

    def __init__(self, registry, repository, credentials=None):
        self.repository = repository
        self.connection = connect(registry)
        self.headers = {"User-Agent": "cloister-tests"}
        if isinstance(credentials, str):
            self.headers["Authorization"] = f"Bearer {credentials}"
        elif credentials:
            self.headers["Authorization"] = "Basic " + base64.b64encode(":".join(credentials).encode()).decode()

    def call(self, method, target, wanted, body=None, **headers):
        self.connection.request(method, target, body, {**self.headers, **headers})
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status not in wanted:
            raise RuntimeError(f"{method} {target}: {answer.status} {said[:500]!r}")
        return answer

    def blob(self, blob):
        """Put a blob there unless it is there."""
        base = f"/v2/{self.repository}/blobs"
        if self.call("HEAD", f"{base}/{blob.digest}", (200, 404)).status == 200:
            return
        place = urlsplit(self.call("POST", f"{base}/uploads/", (202,), **{"Content-Length": "0"}).headers["Location"])
        target = f"{place.path}?{place.query}{'&' if place.query else ''}{urlencode({'digest': blob.digest})}"
        self.call("PUT", target, (201,), blob.chunks(), **{"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"})

    def manifest(self, image, reference):
        self.call("PUT", f"/v2/{self.repository}/manifests/{reference}", (201,), image.manifest, **{"Content-Type": image.media_type})

    def close(self):
        self.connection.close()


def push(image, registry, repository, tag="latest", credentials=None):
    """The image as registry/repository:tag; its name there, by tag. Registries refuse some hostile ones: see FakeRegistry."""
    pusher = Push(registry, repository, credentials)
    try:
        for blob in image.all_blobs():
            pusher.blob(blob)
        for child in image.all_manifests()[:-1]:
            pusher.manifest(child, child.digest)
        pusher.manifest(image, tag)
    finally:
        pusher.close()
    return f"{registry.address}/{repository}:{tag}"
