"""cloister login and logout: which credentials are tried, where they are kept, and that they are gone."""

import base64
import json
import os
import re
import shutil
import signal
import stat
import subprocess

import pytest

from lib import engines, tars
from lib.images import make_image, make_layer, push
from lib.rig import USERS
from lib.terminal import Terminal

HUB = "https://index.docker.io/v1/"
NOT_ECHO = b"s3cr\xc3\xa9t"


def encoded(user="user", password="secret"):
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


OLD = encoded(password="old")


@pytest.fixture(scope="module")
def tiny():
    return make_image([make_layer([tars.directory("etc"), tars.file("etc/text", "tiny\n")])], {"Cmd": ["/bin/true"]})


@pytest.fixture
def closed(start_registry):
    """A registry that lets in USERS alone."""
    return start_registry(basic={**USERS, "other": NOT_ECHO.decode()})


@pytest.fixture
def terminal():
    with Terminal() as made:
        yield made


def login(pulls, registry, password=b"secret\n", user="user", **options):
    address = registry if isinstance(registry, str) else registry.address
    return pulls.call("login", "-u", user, "--password-stdin", address, input=password, **options)


def kept(outcome, registry, where):
    assert outcome.ok().lines() == [f"Logged in to {registry.address}; kept in {where}"] and outcome.err == b"", f"{outcome}"


def logged_out(outcome, name):
    assert outcome.ok().lines() == [f"Logged out of {name}"] and outcome.err == b"", f"{outcome}"


def not_there(outcome, name):
    assert outcome.ok().lines() == [f"Not logged in to {name}"] and outcome.err == b"", f"{outcome}"


def is_private(pulls, path):
    seen = path.lstat()
    assert stat.S_ISREG(seen.st_mode) and (stat.S_IMODE(seen.st_mode), seen.st_uid) == (0o600, pulls.cloister.uid), path
    assert not [name for name in os.listdir(path.parent) if name.startswith(".new-")]


def write(pulls, path, value, mode=0o600):
    """A file of the caller's, and the directories above it."""
    missing = [one for one in path.parents if not one.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(mode)
    for one in (path, *missing):
        os.chown(one, pulls.cloister.uid, pulls.cloister.gid)
    return path


def read(path):
    return json.loads(path.read_text())


# -- passwords

@pytest.mark.parametrize("typed", [b"secret", b"secret\n", b"secret\r\n"])
def test_right_password_is_kept_for_its_owner_alone(pulls, closed, typed):
    config = pulls.docker / "config.json"
    kept(login(pulls, closed, typed, umask=0), closed, config)
    is_private(pulls, config)
    assert read(config) == {"auths": {closed.address: encoded()}}


def test_kept_password_opens_the_registry(pulls, closed, tiny):
    name = push(tiny, closed, "a/b", credentials=("user", "secret"))
    pulls.pull(name).refused(f"cloister login {re.escape(closed.address)}")
    login(pulls, closed).ok()
    assert pulls.pull(name).ok().lines() == [tiny.digest]
    logged_out(pulls.call("logout", closed.address), closed.address)
    assert read(pulls.docker / "config.json") == {"auths": {}}
    is_private(pulls, pulls.docker / "config.json")
    pulls.pull(name).refused("without credentials")


@pytest.mark.parametrize("user, typed", [("user", b"wrong\n"), ("nobody", b"secret\n"), ("user", b"secret \n")])
def test_wrong_password_is_not_kept(pulls, closed, user, typed):
    login(pulls, closed, typed, user=user).refused(re.escape(closed.address), "refuses the credentials")
    assert not os.listdir(pulls.docker)


def test_wrong_password_leaves_the_right_one(pulls, closed):
    before = {"auths": {closed.address: encoded()}}
    pulls.credentials(before)
    login(pulls, closed, b"wrong").refused("refuses the credentials")
    assert read(pulls.docker / "config.json") == before


def test_kept_password_does_not_answer_for_a_new_one(pulls, closed):
    """What is tried is what was typed, and not what the file has."""
    pulls.credentials({"auths": {closed.address: OLD}})
    login(pulls, closed).ok()
    assert read(pulls.docker / "config.json") == {"auths": {closed.address: encoded()}}


def test_token_server_s_users(pulls, start_registry, token_server):
    registry = start_registry(token=token_server)
    login(pulls, registry, b"wrong\n").refused(re.escape(registry.address))
    assert not os.listdir(pulls.docker)
    kept(login(pulls, registry), registry, pulls.docker / "config.json")
    assert read(pulls.docker / "config.json") == {"auths": {registry.address: encoded()}}


@pytest.mark.parametrize("words, data, needles", [(("-u", "user", "--password-stdin"), b"", ["no password"]), (("-u", "user", "--password-stdin"), b"\n", ["no password"]),
                                                  (("--password-stdin",), b"secret", ["--username"]), (("-u", "a:b", "--password-stdin"), b"x", ["colon"]),
                                                  (("-u", "user", "--password-stdin"), b"secret\0more", ["NUL"]),
                                                  (("-u", "user", "--password-stdin"), "secret\r\n".encode("utf-16"), ["NUL", "UTF-16"]),
                                                  (("-u", "user", "-p", "secret"), b"", ["list of processes", "--password-stdin"])],
                         ids=["empty", "line", "nobody", "colon", "nul", "utf-16", "argument"])
def test_what_is_no_login_is_refused(pulls, closed, words, data, needles):
    pulls.call("login", *words, closed.address, input=data).refused(*needles)
    assert not os.listdir(pulls.docker)


@pytest.mark.parametrize("verb", ["login", "logout"])
@pytest.mark.parametrize("name, needles", [("https://r.example/v1/", ["without .https://"]), ("r.example/team", ["r.example/team"]), ("", ["registry"])])
def test_what_is_no_registry_is_refused(pulls, verb, name, needles):
    words = ["-u", "user", "--password-stdin"] if verb == "login" else []
    pulls.call(verb, *words, name, input=b"secret").refused(*needles)


# -- on a terminal

def ask(pulls, terminal, registry, *words):
    argv = pulls.cloister.argv("login", *words, registry.address)
    return terminal.launch(argv, pulls.cloister.environment({**pulls.env, "TERM": "vt100"}))


def test_terminal_is_asked_without_echo(pulls, closed, terminal):
    ask(pulls, terminal, closed)
    terminal.expect(b"Username: ")
    terminal.type(b"other\n")
    terminal.expect(b"Password: ")
    terminal.type(NOT_ECHO + b"\n")
    outcome = terminal.wait()
    assert outcome.exit == 0 and f"kept in {pulls.docker}/config.json".encode() in outcome.out, f"{outcome}"
    assert b"other" in outcome.out and b"s3cr" not in outcome.out, f"{outcome}"
    assert terminal.settings() == terminal.before
    assert read(pulls.docker / "config.json") == {"auths": {closed.address: encoded("other", NOT_ECHO.decode())}}


@pytest.mark.parametrize("typed", [b"wrong\x15secret\n", b"secrex\x7ft\n", b"secrex\x08t\r", b"\x7fsecret\n", b"secret\x04", b"secr\xc3\xa9\x7fet\n"],
                         ids=["line", "delete", "backspace", "nothing", "end", "character"])
def test_typing_is_corrected(pulls, closed, terminal, typed):
    ask(pulls, terminal, closed, "-u", "user")
    terminal.expect(b"Password: ")
    terminal.type(typed)
    outcome = terminal.wait()
    assert outcome.exit == 0, f"{outcome}"
    assert read(pulls.docker / "config.json") == {"auths": {closed.address: encoded()}}


@pytest.mark.parametrize("typed, needle", [(b"\n", b"nothing was typed"), (b"\x04", b"nothing was typed"), (b"secret\x03", b"Interrupted"), (b"wrong\n", b"refuses the credentials")])
def test_terminal_says_no(pulls, closed, terminal, typed, needle):
    ask(pulls, terminal, closed, "-u", "user")
    terminal.expect(b"Password: ")
    terminal.type(typed)
    outcome = terminal.wait()
    assert outcome.exit == 125 and needle in outcome.out, f"{outcome}"
    assert terminal.settings() == terminal.before and not os.listdir(pulls.docker)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM])
def test_terminal_has_its_echo_again_when_a_signal_ends_it(pulls, closed, terminal, number):
    ask(pulls, terminal, closed, "-u", "user")
    terminal.expect(b"Password: ")
    assert terminal.settings() != terminal.before, "asked with the echo still there"
    terminal.type(b"half")
    terminal.process.send_signal(number)
    outcome = terminal.wait()
    assert outcome.exit == -number, f"{outcome}"
    assert terminal.settings() == terminal.before, "the terminal is left without its echo"
    assert b"half" not in outcome.out and not os.listdir(pulls.docker)


def test_signal_that_is_ignored_ends_nothing(pulls, closed, terminal):
    """As below nohup."""
    argv = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *pulls.cloister.argv("login", "-u", "user", closed.address)]
    terminal.launch(argv, pulls.cloister.environment({**pulls.env, "TERM": "vt100"}))
    terminal.expect(b"Password: ")
    assert terminal.settings() != terminal.before, "asked with the echo still there"
    terminal.type(b"sec")
    terminal.process.send_signal(signal.SIGHUP)
    terminal.type(b"ret\n")
    outcome = terminal.wait()
    assert outcome.exit == 0, f"{outcome}"


def test_without_a_terminal_nobody_is_asked(pulls, closed):
    pulls.call("login", closed.address, start_new_session=True).refused("no terminal", "--password-stdin")
    pulls.call("login", "-u", "user", closed.address, start_new_session=True).refused("no terminal", "--password-stdin")


# -- where they are kept

def test_home_s_directory_is_made(pulls, closed):
    home = pulls.cloister.directory("home")
    kept(login(pulls, closed, env={"HOME": str(home), "DOCKER_CONFIG": None}), closed, home / ".docker/config.json")
    is_private(pulls, home / ".docker/config.json")
    assert stat.S_IMODE((home / ".docker").stat().st_mode) == 0o700
    logged_out(pulls.call("logout", closed.address, env={"HOME": str(home), "DOCKER_CONFIG": None}), closed.address)


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_nowhere_to_keep_them_is_told(pulls, closed, home):
    login(pulls, closed, env={"HOME": home, "DOCKER_CONFIG": None}).refused("HOME", "DOCKER_CONFIG")


def test_directory_that_can_not_be_made_is_told(pulls, closed):
    login(pulls, closed, env={"DOCKER_CONFIG": "/proc/none"}).refused("/proc/none")
    login(pulls, closed, env={"DOCKER_CONFIG": "/etc/passwd"}).refused("/etc/passwd")


def test_all_else_in_the_file_stays(pulls, closed):
    rest = {"HttpHeaders": {"X-Meta": "é"}, "detachKeys": "ctrl-e,e", "psFormat": "table {{.ID}}\n", "plugins": {"a": {"b": "true"}}, "credHelpers": {"gcr.io": "gcloud"}}
    others = {"r.example": {**OLD, "email": "a@b"}, HUB: {"identitytoken": "t"}, f"{closed.address}/team": OLD}
    pulls.credentials({**rest, "auths": others})
    login(pulls, closed).ok()
    assert read(pulls.docker / "config.json") == {**rest, "auths": {**others, closed.address: encoded()}}
    assert list(read(pulls.docker / "config.json")) == [*rest, "auths"]
    logged_out(pulls.call("logout", closed.address), closed.address)
    assert read(pulls.docker / "config.json") == {**rest, "auths": others}


def test_file_that_is_open_to_others_is_closed(pulls, closed):
    config = write(pulls, pulls.docker / "config.json", {"auths": {}}, 0o644)
    login(pulls, closed).ok()
    is_private(pulls, config)


# -- spellings of one registry

@pytest.mark.parametrize("form", ["{}/", "https://{}", "http://{}/v2/", "https://{}/v1/", "HTTPS://{}/", "{}/v2/"])
def test_old_spelling_does_not_win(pulls, closed, tiny, form):
    name = push(tiny, closed, "a/b", credentials=("user", "secret"))
    pulls.credentials({"auths": {form.format(closed.address): OLD}})
    pulls.pull(name).refused("refuses the credentials")
    login(pulls, closed).ok()
    assert read(pulls.docker / "config.json") == {"auths": {closed.address: encoded()}}
    pulls.pull(name).ok()


@pytest.mark.parametrize("key", ["docker.io", "index.docker.io", "registry-1.docker.io", HUB, "https://index.docker.io", "Docker.io", "http://docker.io/v2/"])
@pytest.mark.parametrize("words", [(), ("docker.io",), ("index.docker.io",)], ids=["default", "name", "index"])
def test_logout_finds_every_spelling_of_docker_hub(pulls, key, words):
    pulls.credentials({"auths": {key: OLD, "docker.io/team": OLD, "quay.io": OLD}})
    logged_out(pulls.call("logout", *words), "docker.io")
    assert read(pulls.docker / "config.json") == {"auths": {"docker.io/team": OLD, "quay.io": OLD}}
    not_there(pulls.call("logout", *words), "docker.io")


def test_logout_goes_through_every_file(pulls):
    runtime = pulls.cloister.directory("runtime", mode=0o700)
    pulls.extra = {"XDG_RUNTIME_DIR": str(runtime), "REGISTRY_AUTH_FILE": str(pulls.docker / "named.json")}
    shutil.rmtree(pulls.config)
    files = [pulls.docker / "named.json", runtime / "containers/auth.json", pulls.config / "containers/auth.json", pulls.docker / "config.json"]
    keys = ["R.example", "https://r.example/v2/", "r.example/", "r.example"]
    for path, key in zip(files, keys):
        write(pulls, path, {"auths": {key: OLD, "other": OLD}})
    logged_out(pulls.call("logout", "r.example"), "r.example")
    for path in files:
        assert read(path) == {"auths": {"other": OLD}}, path
        is_private(pulls, path)


def test_file_that_is_asked_first_gets_the_new_password(pulls, closed, tiny):
    """As after podman's login, whose old password would go on winning."""
    name = push(tiny, closed, "a/b", credentials=("user", "secret"))
    runtime = pulls.cloister.directory("runtime", mode=0o700)
    pulls.extra["XDG_RUNTIME_DIR"] = str(runtime)
    auth = write(pulls, runtime / "containers/auth.json", {"auths": {closed.address: OLD, "other": OLD}})
    pulls.credentials({"auths": {closed.address: OLD}})
    pulls.pull(name).refused("refuses the credentials")
    kept(login(pulls, closed), closed, auth)
    is_private(pulls, auth)
    assert read(auth) == {"auths": {"other": OLD, closed.address: encoded()}} and read(pulls.docker / "config.json") == {"auths": {closed.address: OLD}}
    pulls.pull(name).ok()


def test_file_that_knows_a_namespace_alone_is_not_the_registry_s(pulls, closed):
    runtime = pulls.cloister.directory("runtime", mode=0o700)
    pulls.extra["XDG_RUNTIME_DIR"] = str(runtime)
    auth = write(pulls, runtime / "containers/auth.json", {"auths": {f"{closed.address}/team": OLD}})
    kept(login(pulls, closed), closed, pulls.docker / "config.json")
    assert read(auth) == {"auths": {f"{closed.address}/team": OLD}}


def test_logout_of_what_is_not_there_touches_nothing(pulls):
    not_there(pulls.call("logout", "r.example"), "r.example")
    assert not os.listdir(pulls.docker)
    config = write(pulls, pulls.docker / "config.json", '{"auths":{"r.example/team":{}, "other":{}}}', 0o640)
    def seen():  # who reads it may change its st_atime
        now = config.stat()
        return now.st_ino, now.st_mode, now.st_uid, now.st_gid, now.st_size, now.st_mtime_ns, now.st_ctime_ns

    before = seen()
    not_there(pulls.call("logout", "r.example"), "r.example")
    assert seen() == before and config.read_text() == '{"auths":{"r.example/team":{}, "other":{}}}'


@pytest.mark.parametrize("entry", [{"auth": "!"}, {"auth": "dXNlcg=="}, {"registrytoken": "x"}, {}], ids=["base64", "colon", "token", "empty"])
def test_logout_is_the_way_out_of_a_broken_entry(pulls, entry):
    pulls.credentials({"auths": {"r.example": entry, "other": OLD}})
    logged_out(pulls.call("logout", "r.example"), "r.example")
    assert read(pulls.docker / "config.json") == {"auths": {"other": OLD}}


# -- programs that keep them

PROGRAM = """#!/usr/bin/python3
import json, os, sys
place = os.path.dirname(os.path.abspath(__file__)) + "/kept.json"
kept = json.load(open(place)) if os.path.exists(place) else {}
verb, data = sys.argv[1], sys.stdin.read()
if verb == "store":
    entry = json.loads(data)
    kept[entry["ServerURL"]] = entry
elif data not in kept:
    print("credentials not found in native keychain")
    sys.exit(1)
elif verb == "get":
    print(json.dumps(kept[data]))
elif verb == "erase":
    del kept[data]
json.dump(kept, open(place, "w"))
"""


@pytest.fixture
def program(pulls):
    """docker-credential-tests along PATH; where it keeps what it is given."""
    directory = pulls.cloister.directory("bin")
    (directory / "docker-credential-tests").write_text(PROGRAM)
    (directory / "docker-credential-tests").chmod(0o755)
    pulls.extra["PATH"] = f"{directory}:/usr/bin:/bin"
    return directory / "kept.json"


@pytest.mark.parametrize("kind", ["helper", "store"])
def test_program_keeps_gives_and_forgets_them(pulls, closed, tiny, program, kind):
    name = push(tiny, closed, "a/b", credentials=("user", "secret"))
    config = {"credHelpers": {closed.address: "tests"}} if kind == "helper" else {"credsStore": "tests"}
    pulls.credentials(config)
    login(pulls, closed, b"wrong").refused("refuses the credentials")
    assert not program.exists()
    kept(login(pulls, closed), closed, "docker-credential-tests")
    assert read(program) == {closed.address: {"ServerURL": closed.address, "Username": "user", "Secret": "secret"}}
    assert read(pulls.docker / "config.json") == config, "the file holds what the program keeps"
    pulls.pull(name).ok()
    logged_out(pulls.call("logout", closed.address), closed.address)
    assert read(program) == {}
    pulls.pull(name).refused("without credentials")
    not_there(pulls.call("logout", closed.address), closed.address)


def test_program_knows_docker_hub_by_its_url(pulls, program):
    write(pulls, program, {HUB: {"ServerURL": HUB, "Username": "user", "Secret": "x"}, "other": {}})
    pulls.credentials({"credsStore": "tests", "auths": {HUB: {}}})
    logged_out(pulls.call("logout"), "docker.io")
    assert read(program) == {"other": {}} and read(pulls.docker / "config.json") == {"credsStore": "tests", "auths": {}}


@pytest.mark.parametrize("kind", ["helper", "store"])
def test_logout_takes_them_from_the_file_and_the_program(pulls, program, kind):
    """Those that were in the file before the program was."""
    write(pulls, program, {"r.example": {"ServerURL": "r.example", "Username": "user", "Secret": "x"}})
    config = {"credHelpers": {"r.example": "tests"}} if kind == "helper" else {"credsStore": "tests"}
    pulls.credentials({**config, "auths": {"https://r.example": OLD}})
    logged_out(pulls.call("logout", "r.example"), "r.example")
    assert read(program) == {} and read(pulls.docker / "config.json") == {**config, "auths": {}}


@pytest.mark.parametrize("verb", ["login", "logout"])
def test_program_that_fails_is_told(pulls, closed, program, verb):
    pulls.credentials({"credsStore": "tests"})
    (program.parent / "docker-credential-tests").write_text("#!/bin/sh\necho it is locked >&2\nexit 3\n")
    outcome = login(pulls, closed) if verb == "login" else pulls.call("logout", closed.address)
    outcome.refused(f"{verb} {re.escape(closed.address)}", "docker-credential-tests", "it is locked")


def test_program_gets_no_password_that_json_can_not_hold(pulls, start_registry, program):
    registry = start_registry(basic={"user": os.fsdecode(b"\xffx")})
    pulls.credentials({"credsStore": "tests"})
    login(pulls, registry, b"\xffx").refused("docker-credential-tests", "UTF-8")
    assert not program.exists()
    pulls.credentials({})
    login(pulls, registry, b"\xffx").ok()
    assert read(pulls.docker / "config.json")["auths"][registry.address]["auth"] == base64.b64encode(b"user:\xffx").decode()


# -- files that aren't as they should be

def test_link_is_read_and_not_written_to(pulls, closed, tiny):
    name = push(tiny, closed, "a/b", credentials=("user", "secret"))
    real = write(pulls, pulls.config / "real.json", {"auths": {closed.address: encoded()}})
    os.symlink(real, pulls.docker / "config.json")
    os.lchown(pulls.docker / "config.json", pulls.cloister.uid, pulls.cloister.gid)
    pulls.pull(name).ok()
    login(pulls, closed).refused(re.escape(f"{pulls.docker}/config.json"), "symbolic link", "DOCKER_CONFIG")
    pulls.call("logout", closed.address).refused(re.escape(f"{pulls.docker}/config.json"), "symbolic link")
    assert read(real) == {"auths": {closed.address: encoded()}} and (pulls.docker / "config.json").is_symlink()
    not_there(pulls.call("logout", "r.example"), "r.example")


def test_directory_may_be_a_link(pulls, closed):
    link = pulls.config / "link"
    link.symlink_to(pulls.docker)
    os.lchown(link, pulls.cloister.uid, pulls.cloister.gid)
    kept(login(pulls, closed, env={"DOCKER_CONFIG": str(link)}), closed, link / "config.json")
    is_private(pulls, pulls.docker / "config.json")


def test_link_of_podman_s_is_told_with_its_own_cure(pulls):
    real = write(pulls, pulls.config / "real.json", {"auths": {"r.example": OLD}})
    link = pulls.config / "containers/auth.json"
    link.parent.mkdir()
    link.symlink_to(real)
    for path in (link.parent, link):
        os.lchown(path, pulls.cloister.uid, pulls.cloister.gid)
    pulls.call("logout", "r.example").refused(re.escape(f"{link} is a symbolic link"), "REGISTRY_AUTH_FILE")
    logged_out(pulls.call("logout", "r.example", env={"REGISTRY_AUTH_FILE": str(real)}), "r.example")
    assert read(real) == {"auths": {}} and link.is_symlink()


def test_a_stranger_s_link_does_not_lead_root_elsewhere(root_pulls, closed, world):
    place = world.directory("strange", owner="user")
    link = place / "link"
    link.symlink_to(root_pulls.docker)
    os.lchown(link, world.user.pw_uid, world.user.pw_gid)
    login(root_pulls, closed, env={"DOCKER_CONFIG": str(link)}).refused(re.escape(f"{link}"), f"symbolic link .* of uid {world.user.pw_uid}")
    assert not os.listdir(root_pulls.docker)


@pytest.mark.parametrize("sudo", [True, False])
def test_file_stays_sudo_s_user_s(root_pulls, closed, world, sudo):
    """Root's login in their home must not lock them out of their own file."""
    owner = (world.user.pw_uid, world.user.pw_gid) if sudo else (0, 0)
    config = write(root_pulls, root_pulls.docker / "config.json", {"auths": {"other": OLD}})
    os.chown(config, world.user.pw_uid, world.user.pw_gid)
    env = {"SUDO_UID": str(world.user.pw_uid)} if sudo else {}
    login(root_pulls, closed, env=env).ok()
    seen = config.stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (*owner, 0o600)
    logged_out(root_pulls.call("logout", closed.address, env=env), closed.address)
    assert (config.stat().st_uid, config.stat().st_gid) == owner and read(config) == {"auths": {"other": OLD}}


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"auths": []}', '{"auths": {"a": 1, "a": 2}}', "\udcff"])
def test_damaged_file_is_told_and_left_alone(pulls, closed, text):
    config = pulls.docker / "config.json"
    config.write_bytes(os.fsencode(text))
    where = re.escape(f"{config}")
    login(pulls, closed).refused(where)
    pulls.call("logout", closed.address).refused(where)
    assert config.read_bytes() == os.fsencode(text) and os.listdir(pulls.docker) == ["config.json"]


def test_empty_file_is_none(pulls, closed):
    write(pulls, pulls.docker / "config.json", "")
    not_there(pulls.call("logout", closed.address), closed.address)
    login(pulls, closed).ok()


def test_what_is_no_file_is_told(pulls, closed):
    (pulls.docker / "config.json").mkdir()
    login(pulls, closed).refused(re.escape(f"{pulls.docker}/config.json"))
    pulls.call("logout", closed.address).refused(re.escape(f"{pulls.docker}/config.json"))


@pytest.mark.parametrize("what", ["file", "directory"])
def test_closed_file_is_told_and_not_taken_for_none(user_pulls, closed, tiny, what):
    """Else a pull would go out without credentials, and fail with a puzzling 401."""
    name = push(tiny, closed, "a/b", credentials=("user", "secret"))
    user_pulls.credentials({"auths": {closed.address: encoded()}})
    (user_pulls.docker / "config.json" if what == "file" else user_pulls.docker).chmod(0)
    where = [re.escape(f"{user_pulls.docker}/config.json: Permission denied"), "DOCKER_CONFIG"]
    user_pulls.pull(name).refused(*where)
    user_pulls.call("logout", closed.address).refused(*where)
    login(user_pulls, closed).refused(where[0])


def test_somebody_else_s_runtime_directory_is_told(user_pulls, registry, world):
    user_pulls.extra["XDG_RUNTIME_DIR"] = str(world.directory("runtime", mode=0o700))
    user_pulls.pull(f"{registry.address}/a/b").refused(f"{user_pulls.extra['XDG_RUNTIME_DIR']}.*Permission denied", "XDG_RUNTIME_DIR names")


def test_closed_configuration_is_told_and_not_taken_for_none(user_pulls, registry):
    user_pulls.configure("registries: {}\n")
    (user_pulls.config / "cloister").chmod(0)
    user_pulls.pull(f"{registry.address}/a/b").refused(re.escape(f"{user_pulls.config}/cloister/registries.yaml: Permission denied"))


def test_directory_that_can_not_be_written_to_is_told(user_pulls, closed):
    user_pulls.credentials({"auths": {closed.address: OLD}})
    user_pulls.docker.chmod(0o555)
    login(user_pulls, closed).refused(re.escape(f"{user_pulls.docker}/config.json: Permission denied"))
    user_pulls.call("logout", closed.address).refused(re.escape(f"{user_pulls.docker}/config.json: Permission denied"))
    assert read(user_pulls.docker / "config.json") == {"auths": {closed.address: OLD}}


# -- others' programs; a user's podman would leave a process behind

THEIR_PROGRAMS = [("skopeo", "user"), ("skopeo", "root"), ("podman", "root")]


@pytest.fixture
def other(pulls, program, start, world):
    """Calls podman or skopeo as this identity, at home in a directory of its own."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    home, runtime = pulls.cloister.directory("home"), pulls.cloister.directory("runtime", mode=0o700)
    podman = start(engines.Podman(world.directory("podman"))) if program == "podman" else None

    def call(*words):
        argv = podman.argv(*words) if podman else [*pulls.cloister.prefix(), program, *words]
        environment = {**(podman.env if podman else engines.environment(home)), "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, cwd="/")

    call.home, call.runtime = home, runtime
    return call


@pytest.mark.parametrize("program, cloister", THEIR_PROGRAMS, indirect=["cloister"])
def test_their_login_is_ours(pulls, closed, tiny, program, other):
    name = push(tiny, closed, "a/b", credentials=("user", "secret"))
    done = other("login", "-u", "user", "-p", "secret", "--tls-verify=false", closed.address)
    assert done.returncode == 0 and (other.runtime / "containers/auth.json").exists(), done
    pulls.extra["XDG_RUNTIME_DIR"] = str(other.runtime)
    pulls.pull(name).ok()
    logged_out(pulls.call("logout", closed.address), closed.address)
    gone = other("login", "--get-login", closed.address)
    assert gone.returncode != 0 and "user" not in gone.stdout, gone


IN_A_RUN_OF_ITS_OWN = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs run /run && mkdir -m 700 /run/containers && "$@"; cat /run/containers/0/auth.json', "run"]


@pytest.mark.parametrize("identity", ["root", "user"])
def test_podman_s_file_of_root_without_a_session(root_pulls, user_pulls, closed, identity):
    """A user's can't be there: /run/containers is closed to them, and that is no error."""
    pulls = root_pulls if identity == "root" else user_pulls
    place = pulls.cloister.directory("place") / "auth.json"
    place.write_text(json.dumps({"auths": {closed.address: OLD, "other": OLD}}))
    root = 'install -D -m 600 "$0" /run/containers/0/auth.json && exec "$@"'
    words = [*IN_A_RUN_OF_ITS_OWN, "sh", "-c", root, place, *pulls.cloister.argv("logout", closed.address)]
    environment = pulls.cloister.environment({**pulls.env, "XDG_RUNTIME_DIR": None})
    done = subprocess.run([os.fspath(word) for word in words], env=environment, capture_output=True, text=True, timeout=60)
    said, _, left = done.stdout.partition("\n")
    assert done.stderr == "" and said == f"{'Logged out of' if identity == 'root' else 'Not logged in to'} {closed.address}", done
    assert json.loads(left) == {"auths": {"other": OLD} if identity == "root" else {closed.address: OLD, "other": OLD}}


@pytest.mark.parametrize("program, cloister", THEIR_PROGRAMS, indirect=["cloister"])
def test_our_login_is_theirs(pulls, closed, program, other):
    kept(login(pulls, closed, env={"HOME": str(other.home), "DOCKER_CONFIG": None}), closed, other.home / ".docker/config.json")
    found = other("login", "--get-login", closed.address)
    assert (found.returncode, found.stdout.strip()) == (0, "user"), found
