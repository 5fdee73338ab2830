"""cloister pull: from every kind of registry and file into the store, and what it tells meanwhile."""

import base64
import json
import os
import re
import stat
import subprocess

import pytest

from lib import engines, layouts, packing, samples, tars, trees, web_faults as faults
from lib.images import layer_of_blob, make_config, make_image, make_index, make_layer, push
from lib.patience import patience
from lib.proxy import Proxy
from lib.pulling import Pulls, chain_ids, unpacked
from lib.terminal import Terminal

BASIC = base64.b64encode(b"user:secret").decode()


@pytest.fixture(scope="module")
def small(registry):
    """The small image's name in everybody's registry."""
    return push(samples.small_image(), registry, "pull/small")


@pytest.fixture(scope="module")
def small_tree(world):
    return unpacked(world, samples.small_image())


@pytest.fixture(scope="module")
def tiny():
    """An image of one layer with one file: for what isn't about trees."""
    return tiny_image("tiny")


def tiny_image(text, **more):
    return make_image([make_layer([tars.directory("etc"), tars.file("etc/text", f"{text}\n")])], {"Cmd": ["/bin/true"]}, **more)


def pulled(outcome, *images):
    """It succeeded, and its output is the images' digests."""
    assert outcome.ok().lines() == [image.digest for image in images], f"{outcome}"
    return outcome


def refused(outcome, name, *needles):
    return outcome.refused(re.escape(name), *needles)


def fetched(registry, pattern):
    """The paths that cloister asked a registry for, in order."""
    return [request.path for request in registry.requests if request.agent.startswith("cloister/") and re.search(pattern, request.path)]


# -- registries

def test_image_comes_whole(pulls, registry, small, small_tree):
    image = samples.small_image()
    pulled(pulls.pull(small), image)
    pulls.has(image, small).is_settled()
    trees.assert_same(small_tree, pulls.describe(image), ignore=["."], names=("gnu tar", "cloister"))
    asked = fetched(registry, "/pull/small/")
    assert {os.path.basename(path) for path in asked} == {"latest", *(blob.digest for blob in image.all_blobs())}


def test_store_is_its_owners_alone(pulls, small):
    pulled(pulls.pull(small), samples.small_image())
    for path in (pulls.path, *(pulls.path / name for name in pulls.names("."))):
        seen = path.stat()
        assert (seen.st_uid, stat.S_IMODE(seen.st_mode) & 0o077) == (pulls.cloister.uid, 0), path
    pulls.path.chmod(0o750)
    pulls.pull(small).refused("open to others", "chmod 700")


def test_store_of_somebody_else_is_not_used(pulls, world, tiny, registry):
    os.chown(pulls.path, 12345, 12345)
    pulls.path.chmod(0o700 if pulls.cloister.identity == "root" else 0o777)
    pulls.pull(push(tiny, registry, "pull/tiny")).refused("uid 12345", "CLOISTER_STORE")
    assert not pulls.left()


def test_tls_registry_with_its_authority(pulls, start_registry, authority, tiny):
    registry = start_registry(tls=authority)
    name = push(tiny, registry, "a/b")
    refused = pulls.pull(name).refused(f"{registry.address}: nobody known signed its certificate", "registries.yaml, as `authority: FILE`$")
    assert b"before that" not in refused.err and b"status 400" not in refused.err
    pulls.is_empty()
    pulled(pulls.trust(registry).pull(name), tiny)
    pulls.has(tiny, name)


def test_registry_with_users(pulls, start_registry, tiny):
    registry = start_registry(basic={"user": "secret"}, record=True)
    name = push(tiny, registry, "a/b", credentials=("user", "secret"))
    pulls.pull(name).refused(re.escape(name))
    pulls.credentials({"auths": {registry.address: {"auth": base64.b64encode(b"user:wrong").decode()}}})
    pulls.pull(name).refused(re.escape(name))
    pulls.is_empty()
    pulls.credentials({"auths": {registry.address: {"auth": BASIC}}})
    pulled(pulls.pull(name), tiny)
    answered = [one for one in registry.requests if one.agent.startswith("cloister/") and one.status == 200]
    assert answered and {one.authorization for one in answered} == {"basic"}


def token_registry(start_registry, token_server, image):
    registry = start_registry(token=token_server, record=True)
    return registry, push(image, registry, "a/b", credentials=token_server.make_token("user", ["repository:a/b:pull,push"]))


def test_token_for_nobody(pulls, start_registry, token_server, tiny):
    registry, name = token_registry(start_registry, token_server, tiny)
    pulled(pulls.pull(name), tiny)
    assert len(token_server.seen("/token")) == 1, "one token is enough for an image"
    assert token_server.seen("/token")[0].header("Authorization") is None
    assert {one.authorization for one in registry.requests if one.agent.startswith("cloister/") and one.status == 200} == {"bearer"}


def test_token_for_a_user(pulls, start_registry, token_server, tiny):
    token_server.anonymous = False
    _, name = token_registry(start_registry, token_server, tiny)
    pulls.pull(name).refused(re.escape(name))
    pulls.credentials({"auths": {name.partition("/")[0]: {"auth": BASIC}}})
    pulled(pulls.pull(name), tiny)
    assert token_server.issued[-1][:2] == ("user", ("repository:a/b:pull",))


def test_token_for_an_identity(pulls, start_registry, token_server, tiny):
    """What `docker login` keeps where a registry gives it: a refresh token, and no password."""
    token_server.anonymous = False
    _, name = token_registry(start_registry, token_server, tiny)
    token = token_server.identity_token("user")
    pulls.credentials({"auths": {name.partition("/")[0]: {"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": token}}})
    pulled(pulls.pull(name), tiny)
    posted = token_server.seen("/token", "POST")
    assert len(posted) == 1 and posted[0].form["refresh_token"] == token


# -- where credentials are

def helper_program(pulls, text, name="tests"):
    """A docker-credential-NAME along PATH, and what it has been asked."""
    directory = pulls.cloister.directory("bin")
    program = directory / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\nread server\necho \"$1 $server $HOME\" >> {directory}/asked\n{text}\n")
    program.chmod(0o755)
    pulls.extra["PATH"] = f"{directory}:/usr/bin:/bin"
    return directory / "asked"


@pytest.mark.parametrize("kind", ["helper", "store"])
def test_credentials_of_a_program(pulls, start_registry, tiny, kind):
    registry = start_registry(basic={"user": "secret"})
    name = push(tiny, registry, "a/b", credentials=("user", "secret"))
    asked = helper_program(pulls, "echo '{\"ServerURL\": \"x\", \"Username\": \"user\", \"Secret\": \"secret\"}'")
    pulls.credentials({"credHelpers": {registry.address: "tests"}} if kind == "helper" else {"credsStore": "tests"})
    pulled(pulls.pull(name), tiny)
    home = pulls.cloister.environment()["HOME"]
    assert set(asked.read_text().splitlines()) == {f"get {registry.address} {home}"}


def test_program_that_knows_nothing_is_no_error(pulls, registry, small):
    helper_program(pulls, "echo 'credentials not found in native keychain'; exit 1")
    pulls.credentials({"credHelpers": {registry.address: "tests"}})
    pulled(pulls.pull(small), samples.small_image())


@pytest.mark.parametrize("text, needles", [("echo no; echo it is locked >&2; exit 3", ["docker-credential-tests", "locked|no"]), ("echo '{\"Username\": 1'", ["tests"]),
                                           ("head -c 1000000 /dev/zero", ["docker-credential-tests"])], ids=["fails", "json", "endless"])
def test_program_that_fails_is_an_error(pulls, registry, small, text, needles):
    helper_program(pulls, text)
    pulls.credentials({"credHelpers": {registry.address: "tests"}})
    pulls.pull(small).refused(*needles)
    pulls.is_empty()


def test_program_that_is_missing_is_named(pulls, registry, small):
    pulls.credentials({"credHelpers": {registry.address: "nowhere-to-be-found"}})
    pulls.pull(small).refused("docker-credential-nowhere-to-be-found", "PATH")


def test_credentials_of_podmans_files(pulls, start_registry, tiny):
    """The first file that knows the registry decides."""
    registry = start_registry(basic={"user": "secret"})
    name = push(tiny, registry, "a/b", credentials=("user", "secret"))
    good, bad = ({"auths": {registry.address: {"auth": base64.b64encode(word).decode()}}} for word in (b"user:secret", b"user:wrong"))
    runtime = pulls.cloister.directory("runtime", mode=0o700)
    pulls.extra = {"XDG_RUNTIME_DIR": str(runtime), "REGISTRY_AUTH_FILE": str(pulls.config / "named.json")}
    pulls.credentials(bad)
    places = [pulls.config / "containers/auth.json", runtime / "containers/auth.json", pulls.config / "named.json"]  # each before the one above
    for place in places:
        pulls.pull(name).refused(re.escape(name))
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps(good))
        place.chmod(0o644)
        pulled(pulls.pull(name), tiny)
        place.write_text(json.dumps(bad))
    pulls.pull(name).refused(re.escape(name))


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": {"127.0.0.1:1": {"auth": "!"}}}', '{"auths": []}'])
def test_credentials_that_are_damaged_are_told_with_their_file(pulls, registry, small, text):
    pulls.credentials({})
    (pulls.docker / "config.json").write_text(text.replace("127.0.0.1:1", registry.address))
    pulls.pull(small).refused(re.escape(f"{pulls.docker}/config.json"))


# -- names

def test_tags_and_digests(pulls, registry):
    old, new = tiny_image("old"), tiny_image("new")
    push(old, registry, "pull/tags", "1")
    for tag in ("2", "latest"):
        push(new, registry, "pull/tags", tag)
    base = f"{registry.address}/pull/tags"
    pulled(pulls.pull(f"{base}:1"), old)
    pulled(pulls.pull(base), new)
    assert pulls.named(f"{base}:latest") == new.digest[7:] and pulls.named(f"{base}:1") == old.digest[7:]
    pulled(pulls.pull(f"{base}@{old.digest}"), old)
    pulled(pulls.pull(f"{base}:2@{old.digest}"), old)
    pulls.has(old).has(new)
    pulls.pull(f"{base}:3").refused(re.escape(f"no image pull/tags:3"))
    pulls.pull(f"{base}@sha256:{'0' * 64}").refused("no image pull/tags@sha256:0000")
    assert pulls.named(f"{base}:3") is None


def test_tag_that_moves_takes_the_name_along(pulls, registry):
    old, new = tiny_image("old"), tiny_image("new")
    name = push(old, registry, "pull/moving")
    pulled(pulls.pull(name), old)
    push(new, registry, "pull/moving")
    pulled(pulls.pull(name), new)
    pulls.has(new, name).has(old)


def test_several_images_in_one_command(pulls, registry):
    images = [tiny_image(text) for text in ("one", "two")]
    names = [push(image, registry, f"pull/several-{number}") for number, image in enumerate(images)]
    outcome = pulls.pull(names[0], f"{registry.address}/pull/nothing", names[1])
    assert outcome.exit == 125 and outcome.lines() == [images[0].digest], f"{outcome}"
    pulls.has(images[0], names[0])
    pulled(pulls.pull(*names), *images)


@pytest.mark.parametrize("name", ["", "UPPER/case", "a//b", "x@sha256:12", "x@md5:" + "0" * 32, "name:tag:more", "a/../b", "-x/y", "x:" + "t" * 129, "sp ace",
                                  "new\nline", "https://127.0.0.1/x"])
def test_names_that_are_none(pulls, name):
    pulls.pull("--", name).refused()
    pulls.is_empty()


def test_nothing_named_and_unknown_options(pulls):
    pulls.pull().refused("no image named")
    for words in (["--format", "yaml", "x"], ["--platform", "windows/amd64", "x"], ["--max-size", "much", "x"], ["--max-files", "-1", "x"], ["--without", "seccomp", "x"],
                  ["--nonsense", "x"]):
        pulls.pull(*words).refused(words[0].lstrip("-"))


def test_default_registry(pulls, registry, small):
    pulls.configure(f"default: {registry.address}\n")
    pulled(pulls.pull("pull/small"), samples.small_image())
    pulls.has(samples.small_image(), small)


def test_short_names_are_docker_hubs(pulls, registry, tiny):
    """Its mirror has them."""
    push(tiny, registry, "library/of-the-tests", "tagged")
    pulls.configure({"registries": {"docker.io": {"mirrors": [registry.url]}}})
    pulled(pulls.pull("of-the-tests:tagged"), tiny)
    pulls.has(tiny, "docker.io/library/of-the-tests:tagged")


@pytest.mark.parametrize("text, needles", [("registries: [", ["registries.yaml"]), ("colour: blue\n", ["registries.yaml", "colour"]),
                                           ("registries: {a.example: {authority: /not/there.pem}}\n", ["/not/there.pem"])], ids=["yaml", "unknown", "authority"])
def test_configuration_that_is_wrong(pulls, text, needles):
    pulls.configure(text)
    pulls.pull("a.example/b").refused(*needles)


# -- digests that aren't those

def test_manifest_that_is_another_is_not_taken(pulls, start, registry, tiny):
    """By a digest one gets what one asked for, or nothing."""
    proxy, other = start(Proxy(registry)), tiny_image("other")
    push(tiny, registry, "pull/digest")
    proxy.on("/manifests/", faults.bodies(other.manifest))
    pulls.pull(f"{proxy.address}/pull/digest@{tiny.digest}").refused(other.digest[:19], tiny.digest[:19], "asked for")
    pulls.is_empty()


def test_child_of_an_index_that_is_another_is_not_taken(pulls, fake_registry, tiny):
    index = make_index([tiny])
    name = fake_registry.add(index)
    fake_registry.put_manifest("some/name", tiny.digest, tiny_image("other").manifest, tiny.media_type)
    pulls.pull(name).refused(tiny.digest[:19], "asked for")
    pulls.is_empty()


@pytest.mark.parametrize("part", ["config", "layer"])
def test_blob_that_is_another_is_not_taken(pulls, fake_registry, tiny, part):
    name = fake_registry.add(tiny)
    blob = tiny.all_blobs()[0] if part == "config" else tiny.layers[0].blob
    spoilt = bytearray(blob.whole())
    spoilt[-1] ^= 1
    fake_registry.put(f"/v2/some/name/blobs/{blob.digest}", bytes(spoilt))
    refused(pulls.pull("-q", name), name, "config" if part == "config" else f"layer {blob.digest[:19]}")
    pulls.is_empty()


# -- indexes

def platform_image(architecture, *variant):
    layer = make_layer([tars.file("arch", architecture)])
    return make_image([layer], config_bytes=make_config([layer], platform=("linux", architecture, *variant)))


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_index_gives_the_image_of_this_machine(pulls, registry, repository, kind):
    images = {name: platform_image(name) for name in ("s390x", "amd64", "arm64")}
    index = make_index(list(images.values()), [("linux", name) for name in images], kind)
    name = push(index, registry, repository)
    pulled(pulls.pull(name), images["amd64"])
    pulls.has(images["amd64"], name)
    assert not [path for path in fetched(registry, repository) if images["arm64"].layers[0].blob.digest in path]
    pulled(pulls.pull("--platform", "linux/arm64", name), images["arm64"])
    pulls.pull("--platform", "linux/riscv64", name).refused("linux/riscv64", "arm64", "amd64")


def test_index_with_variants_and_what_is_no_image(pulls, registry):
    v7, v8, own = platform_image("arm", "v7"), platform_image("arm64", "v8"), platform_image("amd64")
    attestation = platform_image("unknown")
    index = make_index([attestation, v7, v8, own], [("unknown", "unknown"), ("linux", "arm", "v7"), ("linux", "arm64", "v8"), ("linux", "amd64")])
    name = push(index, registry, "pull/variants")
    pulled(pulls.pull(name), own)
    pulled(pulls.pull("--platform", "linux/arm64", name), v8)
    pulled(pulls.pull("--platform", "linux/arm/v7", name), v7)


@pytest.mark.parametrize("indexed", [False, True], ids=["manifest", "index-that-lies"])
def test_image_of_another_platform(pulls, registry, repository, indexed):
    """A manifest without an index, or one whose index says what it isn't."""
    image = platform_image("arm64", "v8")
    name = push(make_index([image], [("linux", "amd64")]) if indexed else image, registry, repository)
    refused(pulls.pull(name), name, "it is for linux/arm64/v8, not for linux/amd64", "--platform")
    pulls.is_empty()
    if not indexed:
        pulled(pulls.pull("--platform", "linux/arm64", name), image)
        assert json.loads(pulls.call("inspect", "--image", name).ok().out)[0]["platform"] == "linux/arm64/v8"


def test_config_without_a_platform_is_for_any(pulls, registry, repository):
    layers = [make_layer([tars.file("file")])]
    config = {key: value for key, value in json.loads(make_config(layers)).items() if key not in ("os", "architecture")}
    image = make_image(layers, config_bytes=json.dumps(config).encode())
    pulled(pulls.pull(push(image, registry, repository)), image)


def test_digest_of_an_index_names_the_index(pulls, registry, tiny):
    index = make_index([tiny])
    push(index, registry, "pull/by-index")
    pulled(pulls.pull(f"{registry.address}/pull/by-index@{index.digest}"), tiny)


# -- layers of every kind

@pytest.mark.parametrize("kind, compression", [(kind, how) for kind in ("oci", "docker") for how in packing.COMPRESSIONS if how != "gzip" or kind == "docker"])
def test_every_compression_of_both_kinds_is_the_same_tree(pulls, registry, small_tree, kind, compression):
    image = samples.small_image(kind, compression)
    pulled(pulls.pull(push(image, registry, f"pull/{kind}-{compression}")), image)
    pulls.has(image).is_settled()
    trees.assert_same(small_tree, pulls.describe(image), ignore=["."], names=("gnu tar", "cloister"))


def test_image_without_layers(pulls, registry):
    name = push(make_image([]), registry, "pull/no-layers")
    refused(pulls.pull(name), name, "it has no layers")
    pulls.is_empty()


def test_layer_without_entries(pulls, registry):
    image = make_image([make_layer([tars.file("x")]), make_layer([]), make_layer([tars.file("y")])])
    pulled(pulls.pull(push(image, registry, "pull/no-entries")), image)
    assert sorted(pulls.describe(image)) == [".", "x", "y"]


def test_most_layers(pulls, registry):
    image = make_image([make_layer([tars.file(f"f{number}")]) for number in range(127)])
    pulled(pulls.pull(push(image, registry, "pull/127")), image)
    assert len(pulls.names("layers")) == 127 and len(pulls.describe(image)) == 128
    more = make_image([make_layer([tars.file(f"f{number}")]) for number in range(128)])
    pulls.pull(push(more, registry, "pull/128")).refused("127")


# -- what is there

def test_what_is_there_costs_one_request(pulls, registry, repository):
    image = tiny_image("again")
    name = push(image, registry, repository)
    pulled(pulls.pull(name), image)
    before = registry.wait_requests(f"/{repository}/blobs/", 2, agent="cloister/")
    outcome = pulled(pulls.pull(name), image)
    assert b"up to date" in outcome.err
    registry.wait_requests(f"/{repository}/manifests/", 2, agent="^cloister/")
    again = [request for request in registry.requests if f"/{repository}/" in request.path and request.agent.startswith("cloister/")][len(before) + 1:]
    assert [(request.method, "/manifests/" in request.path) for request in again] == [("GET", True)], again


def test_layers_that_images_share_are_there_once(pulls, registry, repository):
    base = make_layer([tars.file("base", b"base" * 1000)])
    images = [make_image([base, make_layer([tars.file(f"own-{number}")])]) for number in range(3)]
    for number, image in enumerate(images):
        pulled(pulls.pull(push(image, registry, f"{repository}-{number}")), image)
    assert len(pulls.names("layers")) == 4 and len({pulls.layers(image)[0] for image in images}) == 1
    registry.wait_requests(f"/{repository}-2/blobs/", 2, agent="^cloister/")
    assert sum(base.blob.digest in path for path in fetched(registry, f"/{repository}-")) == 1


def test_layer_in_another_compression_is_the_same_layer(pulls, registry, repository):
    gzip, zstd = samples.small_image(), samples.small_image("oci", "zstd")
    pulled(pulls.pull(push(gzip, registry, f"{repository}-gzip")), gzip)
    pulled(pulls.pull(push(zstd, registry, f"{repository}-zstd")), zstd)
    assert pulls.layers(gzip) == pulls.layers(zstd)
    registry.wait_requests(f"/{repository}-zstd/blobs/", 1, agent="^cloister/")
    assert len(fetched(registry, f"/{repository}-zstd/blobs/")) == 1, "its config is all that is new"


def test_one_archive_above_two_others_is_two_layers(pulls, registry):
    """What hard links and forgotten directories become depends on what is below: layers are by chain ID."""
    top = make_layer([tars.file("etc/top")])
    images = [make_image([make_layer([tars.directory("etc", mode)]), top]) for mode in (0o700, 0o755)]
    for number, image in enumerate(images):
        pulled(pulls.pull(push(image, registry, f"pull/chain-{number}")), image)
    assert pulls.layers(images[0])[1] != pulls.layers(images[1])[1]


def test_one_layer_twice(pulls, registry):
    layer = make_layer([tars.file("x")])
    image = make_image([layer, layer])
    pulled(pulls.pull(push(image, registry, "pull/twice")), image)
    assert len(set(chain_ids(image))) == len(pulls.names("layers")) == 2


# -- what is told

def test_quiet_prints_the_digest_alone(pulls, small):
    for _ in range(2):
        outcome = pulled(pulls.pull("--quiet", small), samples.small_image())
        assert outcome.err == b""


def test_lines_where_there_is_no_terminal(pulls, small):
    image = samples.small_image()
    lines = pulled(pulls.pull(small), image).err.decode().splitlines()
    assert re.fullmatch(re.escape(small) + r": ready after \d+\.\d s( .*)?", lines[-1])
    for layer in image.layers:
        own = [line for line in lines if line.startswith(layer.blob.digest[7:19] + ": ")]
        assert own and "done" in own[-1] and len(own) <= 3, lines
    assert "\033" not in "".join(lines) and "\r" not in "".join(lines)


def test_events_are_json_a_line_each(pulls, small):
    image = samples.small_image()
    outcome = pulls.pull("--format", "json", small).ok()
    assert outcome.err == b""
    events = [json.loads(line) for line in outcome.lines()]
    assert events[-1] == {"event": "image", "image": small, "digest": image.digest, "was_there": False}
    assert {event["event"] for event in events[:-1]} == {"layer"}
    ranks = ["queued", "running", "done"]
    for layer in image.layers:
        own = [event for event in events if event.get("layer") == layer.blob.digest]
        states = [event["state"] for event in own]
        assert states[-1] == "done" and set(states) <= set(ranks) and sorted(states, key=ranks.index) == states, own
        assert {event["image"] for event in own} == {small} and {event["size_bytes"] for event in own} == {layer.blob.size}
        came = [event["read_bytes"] for event in own if event["state"] == "running"]
        assert came == sorted(came) and all(0 <= bytes_ <= layer.blob.size for bytes_ in came)
    again = [json.loads(line) for line in pulls.pull("--format", "json", small).ok().lines()]
    assert again == [{**events[-1], "was_there": True}]


def test_bars_on_a_terminal(pulls, small):
    with Terminal() as terminal:
        said = terminal.launch(pulls.cloister.argv("pull", small), pulls.cloister.environment(pulls.env)).wait().ok().out
    for layer in samples.small_image().layers:
        assert layer.blob.digest[7:19].encode() in said
    assert b"\033[" in said


def test_failure_is_one_line_and_names_the_image(pulls, registry):
    outcome = pulls.pull(f"{registry.address}/pull/missing:tag").refused(re.escape(f"{registry.address}/pull/missing:tag"), "has no image")
    assert outcome.seconds < patience(5), "what isn't there is asked for once"


# -- files

@pytest.mark.parametrize("compression", packing.COMPRESSIONS)
@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_oci_layouts(pulls, small_tree, form, compression):
    image = samples.small_image("oci", compression)
    place = pulls.cloister.directory("layout")
    write = {"oci": layouts.write_oci_directory, "oci-archive": layouts.write_oci_archive}[form]
    path = write(place / "image", {"tagged": image, "other": tiny_image("other")})
    pulled(pulls.pull(f"{form}:{path}:tagged"), image)
    pulls.has(image).is_settled()
    trees.assert_same(small_tree, pulls.describe(image), ignore=["."], names=("gnu tar", "cloister"))
    pulls.pull(f"{form}:{path}:missing").refused("missing", "tagged")
    pulls.pull(f"{form}:{path}").refused("several images", "tagged", "other")


def test_layout_of_one_image_needs_no_tag(pulls, tiny):
    place = pulls.cloister.directory("layout")
    for tag in ("only", None):
        path = layouts.write_oci_directory(place / str(tag), {tag: tiny})
        pulled(pulls.pull(f"oci:{path}"), tiny)


def test_layout_with_an_index(pulls):
    images = [platform_image("arm64"), platform_image("amd64")]
    index = make_index(images, [("linux", "arm64"), ("linux", "amd64")])
    path = layouts.write_oci_directory(pulls.cloister.directory("layout") / "image", {"x": index})
    pulled(pulls.pull(f"oci:{path}:x"), images[1])
    pulled(pulls.pull("--platform", "linux/arm64", f"oci:{path}:x"), images[0])


@pytest.mark.parametrize("style", ["save", "oci"])
def test_docker_archives(pulls, small_tree, style):
    image = samples.small_image("docker")
    path = layouts.write_docker_archive(pulls.cloister.directory("saved") / "image.tar", {"some/name:tag": image}, style)
    pulls.pull(f"docker-archive:{path}").ok()
    trees.assert_same(small_tree, pulls.describe(image), ignore=["."], names=("gnu tar", "cloister"))
    pulls.is_settled()


@pytest.mark.parametrize("packed", ["gzip", "zstd", "members", "frames", "none", "mixed"])
def test_docker_archives_of_compressed_layers(pulls, small_tree, packed):
    """As crane, kaniko and jib write them. A layer is told by its first bytes; of a compressed one only the diffID is known."""
    layers = [samples.small_layers(kind)[number] for number, kind in enumerate(["gzip", "none", "zstd"] if packed == "mixed" else [packed] * 3)]
    image = make_image(layers, json.loads(samples.small_image().config)["config"], "docker")
    path = layouts.write_docker_archive(pulls.cloister.directory("saved") / "image.tar", {"some/name:tag": image}, "crane")
    name = f"docker-archive:{path}"
    first = pulls.pull("--format", "json", name).ok()
    shown = {event["layer"] for event in map(json.loads, first.lines()) if event["event"] == "layer"}
    assert shown == {layer.diff_id for layer in layers}
    trees.assert_same(small_tree, pulls.describe(image), ignore=["."], names=("gnu tar", "cloister"))
    digest = pulls.pull("-q", name).word()
    assert digest == json.loads(first.lines()[-1])["digest"]  # the same bytes are the same image
    (told,) = json.loads(pulls.call("inspect", "--image", digest[7:19]).ok().out)
    assert [layer["digest"] for layer in told["layers"]] == [layer.blob.digest for layer in layers]
    pulls.is_settled()


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
def test_layers_of_docker_archives_that_lie(pulls, packed):
    place = pulls.cloister.directory("saved")
    entries = [tars.directory("etc"), tars.file("etc/text", os.urandom(9000))]
    good = make_layer(entries, packed)
    cut = layer_of_blob(good.blob.whole()[:-2000], good.diff_id, packed)
    for layer, needles in ((make_layer(entries, packed, "sha256:" + "7" * 64), ["layer sha256:777777777777", "plain bytes", "config says sha256:777777777777"]),
                           (cut, [good.diff_id[:19], packed, "middle"])):
        path = layouts.write_docker_archive(place / "image.tar", {"some/name:tag": make_image([layer])}, "crane")
        refused(pulls.pull("-q", f"docker-archive:{path}"), str(path), *needles)
        pulls.is_empty()


@pytest.mark.parametrize("program", ["xz", "bzip2"])
def test_layers_of_docker_archives_that_nobody_reads(pulls, program):
    packed = subprocess.run([program, "-c"], input=tars.tar([tars.directory("etc")]), capture_output=True, check=True, timeout=20).stdout
    image = make_image([make_layer([tars.directory("etc")]), layer_of_blob(packed, compression="none")])
    path = layouts.write_docker_archive(pulls.cloister.directory("saved") / "image.tar", {"some/name:tag": image}, "crane")
    refused(pulls.pull("-q", f"docker-archive:{path}"), str(path), "layer 2", f"compressed by {program}", "skopeo copy")
    pulls.is_empty()


@pytest.mark.parametrize("packed", ["gzip", "zstd", "none"])
def test_runs_of_docker_archives_of_compressed_layers(pulls, packed):
    path = layouts.write_docker_archive(pulls.cloister.directory("saved") / "image.tar", {"some/name:tag": samples.small_image("docker", packed)}, "crane")
    for _ in range(2):
        assert pulls.run(f"docker-archive:{path}", "cat", "/etc/first", opts=["-q"]).ok().out == b"layer 3\n"


def test_files_that_are_not_there_or_no_images(pulls, world):
    place = pulls.cloister.directory("files")
    (place / "text").write_text("no archive\n")
    (place / "empty").mkdir()
    ancient = layouts.write_docker_archive(place / "ancient.tar", {"a:b": samples.small_image()}, "ancient")
    for name, needle in ((f"oci:{place}/nothing", "nothing"), (f"oci:{place}/empty", "index.json"), (f"oci-archive:{place}/text", "archive"),
                         (f"docker-archive:{place}/text", "archive"), (f"docker-archive:{ancient}", "manifest.json"), ("oci:", "no path"), (f"oci:{place}:", "tag")):
        pulls.pull(name).refused(needle)
    pulls.is_empty()


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_what_podman_saves(pulls, world, start, registry, small, small_tree, form):
    podman = start(engines.Podman(world.directory("podman")))
    path = podman.pull(registry, small).save(small, world.directory("saved") / "image", form)
    pulls.pull(f"{form.replace('oci-dir', 'oci')}:{path}").ok()
    trees.assert_same(small_tree, pulls.describe(samples.small_image()), ignore=["."], names=("gnu tar", "cloister"))


def test_what_docker_saves_and_pushes(world, start, registry, small, small_tree, as_root, as_user):
    docker = start(engines.Dockerd(world.directory("docker")))
    path = docker.pull(small).save(small, world.directory("saved") / "image.tar")
    path.chmod(0o644)
    pushed = f"{registry.address}/pull/by-docker:x"
    docker.call("tag", small, pushed)
    docker.push(pushed)
    for cloister in (as_root, as_user):
        for name in (f"docker-archive:{path}", pushed):
            pulls = Pulls(cloister)
            pulls.pull(name).ok()
            trees.assert_same(small_tree, pulls.describe(samples.small_image()), ignore=["."], names=("gnu tar", "cloister"))


@pytest.mark.parametrize("options", [["--dest-compress-format=zstd"], ["--format=v2s2"], ["--format=oci"]], ids=["zstd", "v2s2", "oci"])
def test_what_skopeo_pushes(pulls, world, registry, small, small_tree, options):
    name = f"{registry.address}/pull/by-skopeo:{options[0].rpartition('=')[2]}"
    engines.skopeo_copy(f"docker://{small}", f"docker://{name}", world.directory("home"), registry, options=options)
    pulls.pull(name).ok()
    trees.assert_same(small_tree, pulls.describe(samples.small_image()), ignore=["."], names=("gnu tar", "cloister"))


@pytest.mark.parametrize("target", ["oci:{}/copy:x", "oci-archive:{}/copy:x", "docker-archive:{}/copy:some/name:x"], ids=lambda target: target.partition(":")[0])
def test_what_skopeo_writes(pulls, world, registry, small, small_tree, target):
    place = world.directory("copied")
    engines.skopeo_copy(f"docker://{small}", target.format(place), world.directory("home"), registry)
    pulls.pull(f"{target.partition(':')[0]}:{place}/copy").ok()
    trees.assert_same(small_tree, pulls.describe(samples.small_image()), ignore=["."], names=("gnu tar", "cloister"))
