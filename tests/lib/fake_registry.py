"""A registry that serves whatever it was given: no digest, name or manifest is checked.

    with FakeRegistry() as fake:
        name = fake.add(image, "some/name", "latest")
        fake.put("/v2/some/name/manifests/odd", b"{", "text/plain")

Answers GET and HEAD, ranges too; the rules of lib/web.py's servers make it misbehave.
"""

import json
import re
from dataclasses import dataclass, field

from lib.images import Blob, sha256
from lib.web import Reply, Server

RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


@dataclass
class Resource:
    blob: Blob
    media_type: str
    headers: dict = field(default_factory=dict)


class FakeRegistry(Server):
    def __init__(self, **options):
        self.resources = {"/v2/": Resource(Blob(b"{}"), "application/json")}
        super().__init__(**options)

    def put(self, path, data, media_type="application/octet-stream", **headers):
        """These bytes (or Blob) at a path. headers: Docker_Content_Digest="..." and the like; None drops one."""
        blob = data if isinstance(data, Blob) else Blob(data)
        self.resources[path] = Resource(blob, media_type, {name.replace("_", "-"): value for name, value in headers.items()})

    def put_blob(self, repository, blob, digest=None):
        """A blob by its own digest, or by another one."""
        self.put(f"/v2/{repository}/blobs/{digest or blob.digest}", blob)

    def put_manifest(self, repository, reference, data, media_type):
        self.put(f"/v2/{repository}/manifests/{reference}", data, media_type, Docker_Content_Digest=sha256(data))

    def add(self, image, repository="some/name", tag="latest"):
        """The image with all that belongs to it; its name, by tag."""
        for blob in image.all_blobs():
            self.put_blob(repository, blob)
        for one in image.all_manifests():
            self.put_manifest(repository, one.digest, one.manifest, one.media_type)
        self.put_manifest(repository, tag, image.manifest, image.media_type)
        return f"{self.address}/{repository}:{tag}"

    def honest(self, seen):
        found = self.resources.get(seen.path)
        if found is None or seen.method not in ("GET", "HEAD"):
            return Reply(404, [("Content-Type", "application/json")], json.dumps({"errors": [{"code": "NOT_FOUND"}]}).encode())
        headers = {"Content-Type": found.media_type, "Accept-Ranges": "bytes", "Docker-Distribution-Api-Version": "registry/2.0", **found.headers}
        size = found.blob.size
        asked = RANGE.match(seen.range or "") if seen.method == "GET" else None
        if not asked or not any(asked.groups()):
            return self._reply(200, headers, size, found.blob.chunks())
        first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
        last = min(size - 1, int(asked[2]) if asked[1] and asked[2] else size - 1)
        if first > last:
            return Reply(416, [("Content-Range", f"bytes */{size}")])
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return self._reply(206, headers, last + 1 - first, found.blob.part(first, last))

    def _reply(self, status, headers, length, pieces):
        kept = [(name, value) for name, value in headers.items() if value is not None]
        return Reply(status, [*kept, ("Content-Length", length)], pieces)
