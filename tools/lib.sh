# shellcheck shell=bash
# What the scripts in tools/ share. Source it; it does nothing by itself.

# shellcheck disable=SC2034 # colours, for those who source this
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' plain=''
fi

say() {
    printf '%s==>%s %s\n' "$bold" "$plain" "$*"
}

die() {
    printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
    exit 1
}

# Run a command whose output matters only when it fails (or when V=1).
quietly() {
    local log status=0
    if [ "${V:-0}" = 1 ]; then
        "$@"
        return
    fi
    log=$(mktemp)
    "$@" > "$log" 2>&1 || status=$?
    # compilers' warnings are never hidden
    if [ $status -ne 0 ]; then
        cat "$log" >&2
    else
        grep -A3 'warning:' "$log" | grep -v '^\[' >&2 || true
    fi
    rm -f "$log"
    [ $status -eq 0 ] || printf '%sfailed:%s %s\n' "$red" "$plain" "$*" >&2
    return $status
}

# Run a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        die "this needs root and sudo is not installed: $*"
    fi
}

apparmor_is_on() {
    [ "$(cat /sys/module/apparmor/parameters/enabled 2> /dev/null)" = Y ]
}

# AppArmor's profile for sandboxes, where AppArmor is on: Cloister starts none without it.
# load_profile FILE; the kernel keeps it until the next boot.
load_profile() {
    apparmor_is_on || return 0
    packaging/install-packages.sh apparmor
    say "loading AppArmor's profile cloister-sandbox"
    as_root apparmor_parser -r "$1"
}

# An earlier run as root leaves files in build/ that we could not replace: take them over.
claim_build() {
    [ "$(id -u)" -ne 0 ] && [ -d build ] || return 0
    [ -n "$(find build ! -user "$(id -u)" -print -quit)" ] || return 0
    say "taking over what an earlier run as root left in build/"
    as_root chown -Rh "$(id -u):$(id -g)" build
}
