#!/bin/bash
# user_manager.sh CMD…: runs CMD beside a systemd user manager, in namespaces and a cgroup of its own.
# Needs root and systemd's programs, not a machine that was booted with systemd. Nothing is left behind.
set -euo pipefail

[ "$(id -u)" = 0 ] && [ -x /usr/lib/systemd/systemd ] || {
    echo "user_manager.sh: needs root, and systemd's programs (apt install systemd)" >&2
    exit 1
}

if [ "${INSIDE:-}" != yes ]; then
    groups=()
    for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
        [ -e "$hierarchy/cgroup.procs" ] && groups+=("$hierarchy/auto-iter-service-$$")
    done
    mkdir "${groups[@]}"
    take_down() {
        local code=$?
        for _ in $(seq 100); do # the kernel takes a moment to forget the processes
            find "${groups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null && exit "$code"
            sleep 0.1
        done
        echo "user_manager.sh: ${groups[*]} could not be removed" >&2
        exit 1
    }
    trap take_down EXIT
    INSIDE=yes GROUPS_OF_IT="${groups[*]}" unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
    exit
fi

for group in $GROUPS_OF_IT; do echo 0 >"$group/cgroup.procs"; done
mount -t tmpfs tmpfs /run
export XDG_RUNTIME_DIR=/run/user/0
mkdir -p /run/systemd/system && mkdir -p -m 700 $XDG_RUNTIME_DIR
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export HOME=$home
/usr/lib/systemd/systemd --user --log-target=null &
for _ in $(seq 600); do
    systemctl --user show-environment >/dev/null 2>&1 && break
    sleep 0.1
done
"$@"
