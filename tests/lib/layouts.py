"""Images as files: an OCI directory, an archive of one, and what `docker save` writes, then and now."""

import gzip
import hashlib
import json
import subprocess
from pathlib import Path

from lib import tars
from lib.images import INDEX, as_json

LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'
TAG = "org.opencontainers.image.ref.name"


def index_json(images, **changes):
    """index.json of {tag: image}; the tag None has no annotation."""
    listed = [{**descriptor_of(image), **({"annotations": {TAG: tag}} if tag is not None else {})} for tag, image in images.items()]
    return as_json({"schemaVersion": 2, "mediaType": INDEX["oci"], "manifests": listed, **changes})


def descriptor_of(image):
    return {"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest)}


def blob_files(images):
    """{path in the layout: bytes or Blob} of everything that the images need."""
    found = {}
    for image in images:
        for blob in image.all_blobs():
            found["blobs/" + blob.digest.replace(":", "/")] = blob
        for one in image.all_manifests():
            found["blobs/" + one.digest.replace(":", "/")] = one.manifest
    return found


def _files(images, index=None):
    return {"oci-layout": LAYOUT, "index.json": index or index_json(images), **blob_files(images.values())}


def _as_entry(name, data):
    if isinstance(data, (bytes, tars.Zeros)):
        return tars.file(name, data)
    return tars.file(name, _Sized(data))


class _Sized:
    """A Blob as the data of an entry."""

    def __init__(self, blob):
        self.blob = blob

    def __len__(self):
        return self.blob.size

    def __iter__(self):
        return self.blob.chunks()


def _write_archive(path, entries):
    with open(path, "wb") as out:
        for data in tars.chunks(entries):
            out.write(data)
    return Path(path)


def write_oci_directory(path, images, index=None):
    """oci:PATH with {tag: image}; `index` replaces the bytes of index.json."""
    path = Path(path)
    for name, data in _files(images, index).items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "wb") as out:
            out.writelines([data] if isinstance(data, bytes) else data.chunks())
    return path


def write_oci_archive(path, images, index=None, directories=True):
    """oci-archive:PATH."""
    entries = [tars.directory(name) for name in ("blobs", "blobs/sha256")] if directories else []
    return _write_archive(path, entries + [_as_entry(name, data) for name, data in _files(images, index).items()])


def docker_entries(images, style="save", manifest=None):
    """The entries of docker-archive, of {"name:tag": image}; layers are stored plain.

    style: "save" as Docker 1.10 to 24 wrote it, "oci" as since 25, "ancient" without manifest.json; "crane" as crane, kaniko,
    jib and bazel write it: layers as they are, mostly compressed.
    """
    if style == "oci":
        return _docker_oci(images, manifest)
    if style == "crane":
        return _docker_crane(images, manifest)
    entries, listed, repositories = {}, [], {}
    for name, image in images.items():
        config = hashlib.sha256(image.config).hexdigest() + ".json"
        entries[config] = image.config
        paths, parent = [], None
        for layer in image.layers:
            own = hashlib.sha256(f"{parent} {layer.diff_id}".encode()).hexdigest()
            entries[own + "/"] = None
            entries[f"{own}/VERSION"] = b"1.0"
            entries[f"{own}/json"] = as_json({"id": own, **({"parent": parent} if parent else {}), "os": "linux"})
            entries[f"{own}/layer.tar"] = plain(layer)
            paths.append(f"{own}/layer.tar")
            parent = own
        repository, _, tag = name.rpartition(":")
        repositories.setdefault(repository, {})[tag] = parent
        listed.append({"Config": config, "RepoTags": [name], "Layers": paths})
    if style == "save":
        entries["manifest.json"] = manifest or json.dumps(listed).encode()
    entries["repositories"] = json.dumps(repositories).encode()
    return [tars.directory(name) if data is None else _as_entry(name, data) for name, data in entries.items()]


def _docker_crane(images, manifest):
    entries, listed = {}, []
    for name, image in images.items():
        config = "sha256:" + hashlib.sha256(image.config).hexdigest()
        entries[config] = image.config
        paths = [f"{layer.blob.digest[7:]}.tar.gz" for layer in image.layers]
        entries.update(zip(paths, (layer.blob for layer in image.layers)))
        listed.append({"Config": config, "RepoTags": [name], "Layers": paths})
    entries["manifest.json"] = manifest or json.dumps(listed).encode()
    return [_as_entry(name, data) for name, data in entries.items()]


def _docker_oci(images, manifest):
    listed = []
    tagged = {name.rpartition(":")[2]: image for name, image in images.items()}
    files = _files(tagged)
    for name, image in images.items():
        layers = ["blobs/" + layer.blob.digest.replace(":", "/") for layer in image.layers]
        config = "blobs/sha256/" + hashlib.sha256(image.config).hexdigest()
        listed.append({"Config": config, "RepoTags": [name], "Layers": layers})
    files["manifest.json"] = manifest or json.dumps(listed).encode()
    return [tars.directory("blobs"), tars.directory("blobs/sha256"), *(_as_entry(name, data) for name, data in files.items())]


def docker_manifest(images):
    """manifest.json of docker-archive, as Docker 1.10 to 24 wrote it."""
    return next(entry.data for entry in docker_entries(images) if tars.to_bytes(entry.name) == b"manifest.json")


def write_docker_archive(path, images, style="save", manifest=None):
    """docker-archive:PATH."""
    return _write_archive(path, docker_entries(images, style, manifest))


def plain(layer):
    """The archive in a layer, not compressed."""
    data = layer.blob.whole()
    if layer.compression in ("gzip", "members"):
        return gzip.decompress(data)
    if layer.compression in ("zstd", "frames"):
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True, timeout=60).stdout
    return data
