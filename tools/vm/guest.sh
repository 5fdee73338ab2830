#!/bin/bash
# In the guest: run the tests of /work/rig/selection as each identity that it names, and put what
# came of it on the second disk as a tar archive: status, and for each identity its junit file and log.
set -uo pipefail
cd /work || exit
results=/run/results disk=/dev/vdc
status=0
user=cloister-test test_seconds=900
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root
# shellcheck source=/dev/null
source rig/settings  # CLOISTER_PATIENCE, test_seconds

words_of() {
    sed -n "s/[[:space:]]*#.*//; s/^$1[[:space:]][[:space:]]*//p" rig/selection
}

# The lines of an identity, or of all (*), of a list whose first word is the identity.
list_of() {
    sed -n "s/^$1[[:space:]][[:space:]]*//p; s/^\*[[:space:]][[:space:]]*//p" "$2" > "$results/$1.$(basename "$2")"
    echo "$results/$1.$(basename "$2")"
}

# as root in a service with a cgroup of its own
as_service() {
    systemd-run --quiet --wait --collect --pipe --working-directory=/work -p TimeoutStopSec=10 \
        --setenv=CLOISTER_PATIENCE="$CLOISTER_PATIENCE" --setenv=LANG=$LANG "$@" < /dev/null
}

run_root() {
    as_service -p Delegate=yes --setenv=CLOISTER_DELEGATED=root "$@"
}

run_plain() {
    as_service "$@"
}

# The tests are root's, and the sandboxes of the ordinary user are in a scope that the user's
# manager has delegated: that of systemd-run --user --scope -p Delegate=yes. Root enters it.
run_user() {
    local uid scope
    uid=$(id -u $user)
    loginctl enable-linger $user
    systemctl start "user@$uid.service"
    runuser -u $user -- env XDG_RUNTIME_DIR="/run/user/$uid" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" \
        systemd-run --user --quiet --scope --unit=rig -p Delegate=yes sleep infinity < /dev/null &
    for ((i = 0; i < 600; i++)); do
        scope=$(find "/sys/fs/cgroup/user.slice/user-$uid.slice" -name rig.scope)
        [ -z "$scope" ] || [ -z "$(cat "$scope/cgroup.procs")" ] || break
        sleep 0.1
    done
    [ -n "$scope" ] || { echo "the user's manager made no scope"; return 1; }
    # shellcheck disable=SC2016 # its own $
    CLOISTER_DELEGATED=user bash -c '
        echo $$ > "$0/cgroup.procs"
        pids=()  # without a process of our own here, which would be in that cgroup too
        until [ "${pids[*]}" = $$ ]; do
            mapfile -t pids < "$0/cgroup.procs"
            for pid in "${pids[@]}"; do [ "$pid" = $$ ] || kill -KILL "$pid"; done
        done
        exec "$@"' "$scope" "$@" < /dev/null
}

mkdir -p $results
uname -r
stat -fc 'cgroups: %T' /sys/fs/cgroup
echo "AppArmor: $(cat /sys/module/apparmor/parameters/enabled)"
id $user > /dev/null 2>&1 || useradd -m $user
apparmor_parser -r packaging/apparmor/cloister-sandbox || status=1
for identity in root plain user; do
    mapfile -t words < <(words_of $identity)
    [ ${#words[@]} -gt 0 ] || continue
    echo "== $identity"
    "run_$identity" /usr/bin/python3 -m pytest -v --tb=short -rfE -m 'not measures' -o timeout="$test_seconds" \
        -o faulthandler_timeout="$((test_seconds + 60))" --durations=15 \
        -o junit_suite_name="$identity" --junit-xml="$results/$identity.xml" \
        --left-out="$(list_of $identity tests/vm/left-out.txt)" \
        --expected-skips="$(list_of $identity tests/vm/expected-skips.txt)" "${words[@]}" 2>&1 |
        tee "$results/$identity.log"
    code=${PIPESTATUS[0]}
    echo "== $identity: status $code"
    [ "$code" -eq 0 ] || status=$code
done
dmesg --level=err,warn > $results/kernel.log
journalctl -b -p warning --no-pager > $results/journal.log
echo "$status" > $results/status
tar -cf $disk -C $results .
sync
