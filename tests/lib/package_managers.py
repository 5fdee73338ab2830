"""Package managers: what each is told on this machine, and a tiny project for each.

    manager = MANAGERS["npm"]
    hosts = manager.ask_host(directory)     # whom this machine's own client got it from; Unreachable otherwise
    settings = manager.settings(cloister)   # what a sandbox needs to do the same
    cloister.run(image, "sh", "-c", manager.script, opts=settings.options(), env=settings.env)

Where registries are is read when a test runs, from where the clients have it: their files, the
environment, what they say. Nothing here knows a registry.
"""

import ipaddress
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from lib.real_image import SUITE
from lib.world import command

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"  # a company's own authority is among them
# Variables that name a proxy (in capitals or small letters), or a file of authorities.
COMMON = r"(?i:(https?|all|no)_proxy)|SSL_CERT_FILE|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE"
# A host in what a client says it does: the user and password of a URL are not of it.
NAMED = re.compile(r"(?:https?://(?:[^/\s@\"']*@)?|\bHost: )([\w.-]+)")
SECONDS = 60

NPM_LOCK = """{
  "name": "tiny", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
  "packages": {
    "": {"name": "tiny", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}},
    "node_modules/is-number": {
      "version": "7.0.0",
      "integrity": "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng=="
    }
  }
}
"""
GO_SUM = """github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=
github.com/google/uuid v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=
"""
GO_PROGRAM = """package main

import (
	"fmt"

	"github.com/google/uuid"
)

func main() { fmt.Println(uuid.NewMD5(uuid.NameSpaceDNS, []byte("tiny"))) }
"""
CARGO_TOML = """[package]
name = "tiny"
version = "0.1.0"
edition = "2021"

[dependencies]
itoa = "=1.0.11"
"""
CARGO_PROGRAM = 'fn main() {\n    println!("{}", itoa::Buffer::new().format(42));\n}\n'


class Unreachable(Exception):
    """This machine's own client couldn't get it, or there is none."""


@dataclass
class Settings:
    """What a client inside is told: variables (by name alone on the command line) and files."""
    env: dict
    files: list = field(default_factory=list)   # (on the host, inside)

    def options(self):
        words = []
        for name in self.env:
            words += ["-e", name]
        for host, inside in self.files:
            words += ["-v", f"{host}:{inside}"]
        return words


@dataclass
class Manager:
    name: str
    client: str             # the program on this machine
    asking: str             # what it does here, in a directory of its own ($HERE) with the project in it
    script: str             # what a user does inside, in the project
    prints: str             # the last line of what that prints
    variables: str = ""     # an expression of its names in the environment
    files: tuple = ()       # where it reads its configuration: here, and as root of the image
    project: dict = field(default_factory=dict)

    def write_project(self, directory):
        for name, text in self.project.items():
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def ask_host(self, directory):
        """This machine's own client gets the same package: the hosts that it names meanwhile."""
        if shutil.which(self.client) is None:
            raise Unreachable(f"this machine has no {self.client}, which would know where its registry is")
        directory.mkdir()
        self.write_project(directory)
        _write_apt(directory / "apt")
        env = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}  # a directory is no registry
        try:
            done = subprocess.run(["sh", "-euc", self.asking], cwd=directory, env={**env, "HERE": str(directory)}, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise Unreachable(f"this machine's own {self.client} got nothing in {SECONDS} s") from None
        if done.returncode != 0:
            raise Unreachable(f"this machine's own {self.client} failed as well: {done.stdout[-300:]}")
        return set(NAMED.findall(done.stdout))

    def settings(self, cloister):
        """Copies of the files, since an ordinary user can't read root's own, and the variables."""
        env = {name: value for name, value in os.environ.items()
               if re.fullmatch(f"{COMMON}|{self.variables}", name) and name != "PIP_FIND_LINKS"}
        if self.name == "go":  # what `go env -w` has set is neither a file of ours to copy nor in the environment
            names = ["GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE"]
            env |= {name: value for name, value in zip(names, command("go", "env", *names).split("\n")) if value}
        copies = cloister.directory("configuration", mode=0o700)
        files = [(Path(host).expanduser(), inside) for host, inside in (*self.files, (CERTIFICATES, CERTIFICATES))]
        files += [(Path(value), value) for value in env.values() if value.startswith("/") and Path(value).is_file()]
        pairs = {}
        for number, (host, inside) in enumerate(files):
            if host.is_file():
                shutil.copyfile(host, copies / str(number))
                pairs[inside] = copies / str(number)
        if self.name == "apt":
            pairs |= _write_apt(copies / "apt")
        for top, directories, names in os.walk(copies):
            for name in [*directories, *names]:
                os.chown(Path(top, name), cloister.uid, cloister.gid)
        return Settings(env, [(host, inside) for inside, host in pairs.items()])


def _write_apt(directory):
    """This machine's sources of the image's suite, and how apt gets at them: {where an image has it: here}."""
    parts, settings = directory / "sources.list.d", directory / "acquire.conf"
    parts.mkdir(parents=True)
    (directory / "sources.list").touch()  # hides the image's own
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.*"))]:
        if path.suffix in (".list", ".sources") and path.is_file() and SUITE in path.read_text():
            shutil.copyfile(path, directory / path.name if path.name == "sources.list" else parts / path.name)
    settings.write_text(command("apt-config", "dump", "Acquire") if shutil.which("apt-config") else "")
    found = {"/etc/apt/sources.list": directory / "sources.list", "/etc/apt/sources.list.d": parts,
             "/etc/apt/apt.conf.d/99acquire": settings}
    for keys in ("/etc/apt/keyrings", "/etc/apt/trusted.gpg.d"):
        if Path(keys).is_dir():
            found[keys] = shutil.copytree(keys, directory / Path(keys).name)
    return found


def closed_addresses(hosts):
    """Of the hosts' addresses those which `outbound` may have closed: private and link-local ones."""
    found = set()
    for host in hosts:
        try:
            found.update(entry[4][0].partition("%")[0] for entry in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM))
        except OSError:
            pass  # a word of the log that is no host
    addresses = map(ipaddress.ip_address, found)
    return sorted(str(one) for one in addresses if (one.is_private or one.is_link_local) and not one.is_loopback)


_APT = ("apt-get -o APT::Sandbox::User=root -o Dir::State::Lists=$HERE/lists -o Dir::Cache=$HERE/cache "
        "-o Dir::Etc::SourceList=$HERE/apt/sources.list -o Dir::Etc::SourceParts=$HERE/apt/sources.list.d")
MANAGERS = {one.name: one for one in (
    Manager("apt", "apt-get", f"mkdir -p lists/partial cache/archives/partial; {_APT} update; {_APT} download hello",
            "apt-get -q update && apt-get -q install -y hello && stat -c %U /var/lib/apt/lists/partial && hello",
            "Hello, world!"),
    Manager("pip", "pip3", "pip3 -vvv download --no-cache-dir --no-deps -d . iniconfig==2.0.0",
            "pip install --break-system-packages iniconfig==2.0.0 && python3 -c 'import iniconfig; print(iniconfig.__name__)'",
            "iniconfig", variables="PIP_.*", files=(
                ("/etc/pip.conf", "/etc/pip.conf"), ("~/.pip/pip.conf", "/root/.pip/pip.conf"),
                ("~/.config/pip/pip.conf", "/root/.config/pip/pip.conf"))),
    Manager("npm", "npm", "npm ci --loglevel http --cache cache",
            "npm ci && node -p 'require(\"is-number\")(5)'", "true",
            variables="(?i:npm_config_(registry|cafile|.*proxy|strict_ssl))|NODE_EXTRA_CA_CERTS", files=(
                ("/etc/npmrc", "/etc/npmrc"), ("/usr/etc/npmrc", "/etc/npmrc"), ("~/.npmrc", "/root/.npmrc")),
            project={"package.json": '{"name": "tiny", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}\n',
                     "package-lock.json": NPM_LOCK}),
    Manager("go", "go", "GOFLAGS=-modcacherw GOMODCACHE=$HERE/cache go mod download -x",
            "go build -o tiny . && ./tiny", "b99c8607-69fb-304a-a2d4-e5f25c3e0316",
            project={"go.mod": "module tiny\n\ngo 1.19\n\nrequire github.com/google/uuid v1.6.0\n", "go.sum": GO_SUM, "main.go": GO_PROGRAM}),
    Manager("cargo", "cargo", "mkdir home; if [ -e ~/.cargo/config.toml ]; then cp ~/.cargo/config.toml home; fi\n"
                              "CARGO_HOME=$HERE/home CARGO_HTTP_DEBUG=true CARGO_LOG=network=debug cargo fetch",
            "cargo build && target/debug/tiny", "42",
            variables="CARGO_(HTTP|NET|SOURCE|REGISTRY|REGISTRIES)_.*", files=(("~/.cargo/config.toml", "/root/.cargo/config.toml"),),
            project={"Cargo.toml": CARGO_TOML, "src/main.rs": CARGO_PROGRAM}),
)}
