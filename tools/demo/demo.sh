#!/bin/bash
# make demo: build Cloister, run an honest program inside it, make it an image and run that, then
# five that are not honest; then build the WebAssembly engine, and run modules. Each has to end as
# it should, or the demo fails. Where the engine can't be built, the modules are left out, in a line.
# CLOISTER=PROGRAM shows one that is there already, as it is: nothing is installed, built or loaded.
set -euo pipefail
[ -z "${CLOISTER:-}" ] || CLOISTER=$(realpath -es -- "$CLOISTER")
cd "$(dirname "$0")/../.."
source tools/lib.sh
cloister=${CLOISTER:-$PWD/build/bin/cloister}
attacks=(fork_bomb memory_hog endless_loop output_flood snoop)
failed=()
no_engine= # why there are no modules

if [ -z "${CLOISTER:-}" ]; then
    say "packages and programs"
    packaging/install-packages.sh build
    tools/build.sh core helpers
    tools/check-binary.sh
    load_profile packaging/apparmor/cloister-sandbox
fi

# Sandboxes may be unable to walk to a checkout in a closed home directory: use a copy.
work=$(mktemp -d /var/tmp/cloister-demo-XXXXXX)
chmod 755 "$work"
mkdir "$work/src" "$work/attacks"
cp tools/demo/*.c "$work/src"
for attack in "${attacks[@]}"; do
    gcc -std=gnu17 -D_GNU_SOURCE -O1 -Wno-infinite-recursion -o "$work/attacks/$attack" "tools/demo/$attack.c"
done

as_self() { "$@"; }
runner=as_self      # who starts the sandboxes: as_self or as_root
without=()          # what ordinary users have to do without
neighbour=

clean_up() {
    [ -z "$neighbour" ] || stop_neighbour
    wait || true
    rm -rf "$work" 2> /dev/null || $runner rm -rf "$work" # root's result may be in it
}
trap clean_up EXIT

title() {
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
    printf '%s%s%s\n' "$dim" "$2" "$plain"
}

# The words as one would type them.
quoted() {
    local word
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_./:=-]*) printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
}

# act NAME STATUS EXIT LIMIT OPTIONS-AND-COMMAND...: run it, show it, judge its result record.
# Prints the program's output indented, at most 24 lines of it.
act() {
    local name=$1 status=$2 wanted_exit=$3 limit=$4 words exit=0
    shift 4
    words=(run "${without[@]}" "$@")
    printf '  $ %s%s\n' "$([ "$runner" = as_self ] || printf 'sudo ')" "cloister$(quoted "${words[@]}")"
    $runner "$cloister" run --result "$work/result.json" "${words[@]:1}" \
        > "$work/out" 2> "$work/err" || exit=$?
    if [ "$(stat -c %s "$work/out")" -gt 100000 ]; then
        printf '  | %s bytes of output\n' "$(stat -c %s "$work/out")"
    else
        head -n 24 "$work/out" | sed 's/^/  | /'
    fi
    head -n 6 "$work/err" | sed 's/^/  ! /'
    if $runner cat "$work/result.json" 2> /dev/null |
        /usr/bin/python3 tools/demo/result.py "$exit" "$status" "$wanted_exit" "$limit" > "$work/verdict"; then
        printf '  %s%s%s\n' "$green" "$(cat "$work/verdict")" "$plain"
    else
        failed+=("$name")
        sed "s/^.*$/  $red&$plain/" "$work/verdict"
    fi
    $runner rm -f "$work/result.json"
}

# The host's number of a running sandbox's command; nothing while it is not there.
pid_of() {
    { $runner "$cloister" inspect "$1" 2> /dev/null || echo '[{}]'; } |
        /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[0].get("pid") or "")'
}

# The neighbour holds a secret in a file, in its environment and in its memory.
start_neighbour() {
    neighbour=neighbour-$$
    # shellcheck disable=SC2016 # for the shell inside
    $runner "$cloister" run "${without[@]}" --name "$neighbour" --timeout 2m -e SECRET=the-secret-is-4711 \
        host -- sh -c 'echo "$SECRET" > /tmp/secret; exec sleep 100' < /dev/null > /dev/null 2>&1 &
    for _ in {1..100}; do
        neighbour_pid=$(pid_of "$neighbour")
        [ -z "$neighbour_pid" ] || return 0
        sleep 0.05
    done
    die "the neighbour sandbox did not start"
}

stop_neighbour() {
    $runner "$cloister" kill "$neighbour" > /dev/null 2>&1 || true
    neighbour=
}

# What of packaging/debian/wasm.txt is missing, whoever it comes from.
engine_lacks() {
    local PATH=$PATH:${HOME:-/nonexistent}/.cargo/bin
    { command -v cargo && command -v rustc; } > /dev/null || echo cargo-web rustc-web
    command -v cmake > /dev/null || echo cmake
}

# The programs of the wasm wall, or no_engine: minutes the first time, and nothing later.
get_engine() {
    local lacks
    if [ -n "${CLOISTER:-}" ]; then
        if { "$cloister" doctor 2> /dev/null || true; } | grep -q '^wasm .* missing '; then
            no_engine="its programs are not there; make wasm builds them"
        fi
        return
    fi
    printf '\n'
    lacks=$(engine_lacks | xargs)
    if [ -n "$lacks" ]; then
        say "installing what builds the WebAssembly engine: $lacks"
        packaging/install-packages.sh wasm > /dev/null 2>&1 || true
        lacks=$(engine_lacks | xargs)
    fi
    if [ -n "$lacks" ]; then
        no_engine="its engine wants $lacks: sudo apt-get install $lacks, then make wasm"
    elif ! tools/build.sh wasm; then
        no_engine="its engine could not be built; make wasm tries again"
    else
        tools/check-binary.sh build/bin/cloister-wasm build/bin/cloister-wasm-component
    fi
}

# How long one more run of a module takes, from the command to its end.
time_module() {
    local times=20 begun took_us
    begun=${EPOCHREALTIME//[!0-9]/}
    for ((i = 0; i < times; i++)); do
        "$cloister" run "${without[@]}" "$1" > /dev/null < /dev/null || return 1
    done
    took_us=$(((${EPOCHREALTIME//[!0-9]/} - begun) / times))
    printf '  %d more: %d.%d ms each, jail and all (it is compiled once)\n' $times $((took_us / 1000)) $((took_us % 1000 / 100))
}

if [ "$(id -u)" -ne 0 ] && ! "$cloister" run host -- true > /dev/null 2>&1; then
    without=(--without limits)
fi
self_without=("${without[@]}")

title "1. An honest job" \
    "Compile and run a C program: sources read-only, no network, everything written is thrown away."
act "the honest job" exited 0 - -v "$work/src:/src:ro" host -- \
    sh -c 'gcc -O2 -o /tmp/primes /src/primes.c && /tmp/primes'

title "2. An image" "One static program becomes an image, unpacked in a jail, and runs by its name."
mkdir "$work/tree" "$work/store"
chmod 700 "$work/store"
export CLOISTER_STORE=$work/store
gcc -std=gnu17 -O2 -static -o "$work/tree/primes" tools/demo/primes.c
tar -C "$work/tree" --owner=0 --group=0 -cf "$work/primes.tar" primes
printf '  $ cloister import --change '\''CMD ["/primes"]'\'' primes.tar primes\n'
if ! "$cloister" import --quiet --change 'CMD ["/primes"]' "$work/primes.tar" primes 2>&1 | sed 's/^/  | /'; then
    failed+=("the import")
fi
act "the image" exited 0 - primes

if [ ${#without[@]} -gt 0 ]; then
    printf '\n'
    say "nobody gave $(id -un) a cgroup to keep limits in, so what follows runs through sudo"
    (as_root true) || die "limits need root here, or a cgroup of one's own (cloister doctor says how); what needs none ran above"
    without=()
    runner=as_root
fi

inside=(-v "$work/attacks:/attacks:ro")
title "3. A fork bomb" "At most 64 processes, one CPU, two seconds."
act "the fork bomb" timeout 124 tasks "${inside[@]}" --pids-limit 64 --cpus 1 --timeout 2s \
    host -- /attacks/fork_bomb

title "4. A memory hog" "At most 64 MiB."
act "the memory hog" oom 137 memory "${inside[@]}" --memory 64m host -- /attacks/memory_hog

title "5. An endless loop" "At most one second of CPU time."
act "the endless loop" cpu_time 137 cpu_time "${inside[@]}" --cpu-time 1s host -- /attacks/endless_loop

title "6. An output flood" "At most 1 MiB of output."
act "the output flood" output_limit 137 output "${inside[@]}" --output-limit 1MiB host -- /attacks/output_flood

title "7. A spy" "Looks for a secret that a file of the host and a neighbour sandbox hold."
echo the-secret-is-4711 > "$work/host-secret"
start_neighbour
act "the spy" exited 0 - "${inside[@]}" host -- /attacks/snoop "$work/host-secret" "$neighbour_pid"

stop_neighbour

get_engine
if [ -z "$no_engine" ]; then
    # nothing of root's from here on: memory is the engine's to count
    runner=as_self
    without=("${self_without[@]}")
    /usr/bin/python3 tools/demo/wasm_modules.py "$work"
    mkdir "$work/data"
    echo "a note in a volume" > "$work/data/note"

    title "8. A WebAssembly module" "It names nothing but what it is given; around it stands the container wall."
    act "the module" exited 0 - "$work/hello.wasm"
    time_module "$work/hello.wasm" || failed+=("the module, again")

    title "9. A trap" "A module that divides by zero is told where."
    act "the trap" signaled 134 - "$work/trap.wasm"

    title "10. A greedy module" "At most 64 MiB, some of it the wall's: it is told so, and goes on."
    act "the greedy module" exited 0 - --memory 64m "$work/greedy.wasm"

    title "11. Its files" "One directory to read; it tries to write there, and to leave."
    act "the module's files" exited 0 - -v "$work/data:/data" "$work/files.wasm"
fi

printf '\n'
[ ${#failed[@]} -eq 0 ] || die "did not end as it should: $(printf '%s; ' "${failed[@]}")"
if [ -n "$no_engine" ]; then
    say "all seven ended as they should; WebAssembly is left out: $no_engine"
    say "the program is $cloister"
else
    say "all eleven ended as they should. The program is $cloister"
fi
echo "Try next:"
[ ${#self_without[@]} -eq 0 ] || accept=' --without limits'
printf '    %q run%s host -- python3 -c '\''print("hello from inside")'\''\n' "$cloister" "${accept:-}"
printf '    %q doctor\n' "$cloister"
