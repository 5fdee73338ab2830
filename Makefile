# The face of the build: meson does the work in build/, the scripts in tools/ the rest.
# Every target installs the packages it needs first (packaging/debian/*.txt).

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 600
BENCH_ARGS ?=
SOAK_COMMANDS ?= 5000
SOAK_SEED ?=
export PREFIX DESTDIR V CI SOAK_COMMANDS SOAK_SEED
SHELL := /bin/bash

.DEFAULT_GOAL := all
.PHONY: all wasm demo test test-vm test-vm-short test-arm64 soak install uninstall bench lint format fuzz coverage clean help

all:
	@packaging/install-packages.sh build
	@tools/build.sh core helpers
	@tools/check-binary.sh

# apart from all: the engine takes minutes, once
wasm:
	@packaging/install-packages.sh build
	@tools/build.sh wasm
	@tools/check-binary.sh build/bin/cloister-wasm build/bin/cloister-wasm-component

demo:
	@tools/demo/demo.sh

test:
	@tools/test.sh

test-vm test-vm-short:
	@packaging/install-packages.sh build
	@tools/build.sh core helpers weak
	@tools/vm.sh $(if $(filter test-vm,$@),full,short)

test-arm64:
	@tools/test-arm64.sh

soak:
	@tools/soak.sh

install: all
	@tools/install.sh

uninstall:
	@tools/install.sh --remove

bench:
	@packaging/install-packages.sh build bench
	@tools/build.sh core helpers
	@tools/build.sh wasm || echo 'bench: without the WebAssembly engine the part wasm is skipped' >&2
	@. tools/lib.sh && load_profile packaging/apparmor/cloister-sandbox && as_root /usr/bin/python3 bench/run.py $(BENCH_ARGS)

lint:
	@packaging/install-packages.sh build test lint
	@tools/lint.sh

format:
	@packaging/install-packages.sh lint
	@tools/lint.sh --format

fuzz:
	@packaging/install-packages.sh build test
	@tools/build.sh fuzz
	@tools/fuzz.sh $(FUZZ_SECONDS)

coverage:
	@packaging/install-packages.sh build test lint
	@tools/coverage.sh

clean:
	@. tools/lib.sh && claim_build && rm -rf build

help:
	@echo 'make             the release programs, in build/bin'
	@echo 'make wasm        the WebAssembly engine (minutes, the first time) and its programs, in build/bin'
	@echo 'make demo        a job, an image, five attacks that fail, and WebAssembly modules'
	@echo 'make test        everything that is tested'
	@echo 'make test-vm     sandboxes on Debian 12 with systemd and cgroup v2, emulated: hours; test-vm-short: minutes'
	@echo 'make test-arm64  the core for arm64, and its unit tests emulated'
	@echo 'make soak        thousands of commands with random kills (SOAK_COMMANDS=5000, SOAK_SEED=)'
	@echo 'make install     into PREFIX ($(PREFIX)), below DESTDIR when given'
	@echo 'make uninstall   what install put there'
	@echo 'make bench       starts, size and running cost against other sandboxes (BENCH_ARGS=--quick)'
	@echo 'make lint        clang-tidy, gcc -fanalyzer, formatting, dependencies between directories'
	@echo 'make format      put the C sources into shape'
	@echo 'make fuzz        every fuzz target for FUZZ_SECONDS ($(FUZZ_SECONDS))'
	@echo 'make coverage    unit tests with gcov; report in build/coverage-report'
	@echo 'make clean       remove build/'
	@echo 'V=1 shows the commands'"' output; CI=true makes warnings errors"
