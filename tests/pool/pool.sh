#!/bin/bash
# A throw-away HTCondor pool of one user on this machine, for tests.
#
#   pool.sh up        make it (needs root, about half a minute) and start it
#   pool.sh start     start it again with its queue
#   pool.sh stop      end every process of it, keep its files
#   pool.sh status    show slots and queue; exit 3 when it is down
#   pool.sh exec CMD  run CMD inside, as the pool's user (condor_q, condor_status, ...)
#   pool.sh client    print the configuration for clients outside
#   pool.sh destroy   stop it, unmount and delete everything
#
# From the environment: POOL_DIR, POOL_PORT, POOL_SLOTS; pools with different ones live side by side.
# Debian packages HTCondor from trixie on, hence a chroot. The host's Python goes in as well, so that
# jobs can use a virtual environment below /tmp, which both sides see.
set -euo pipefail
POOL_DIR=${POOL_DIR:-/var/tmp/auto-iter-test-pool}
POOL_PORT=${POOL_PORT:-9720}
POOL_SLOTS=${POOL_SLOTS:-8}
POOL_UID=5001
POOL_USER=faser
HOME_IN=/home/$POOL_USER
SUITE=trixie
INCLUDE=minicondor,libbz2-1.0,libexpat1,libffi8,liblzma5,libsqlite3-0,libssl3t64,libstdc++6,zlib1g
MOUNTS="proc sys dev tmp"

say() { echo "pool.sh: $*" >&2; }
die() { say "$*"; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root (chroot, bind mounts)"; }

mirror() { # the one that this machine's own apt uses
    cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
        grep -oE '(https?|file)://[^ ]+' | grep -v security | grep -v snapshot | head -n 1
}

install_mmdebstrap() {
    command -v mmdebstrap >/dev/null && return
    apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null 2>&1 && return
    apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
}

create() {
    [ -e "$POOL_DIR/.created" ] && return
    need_root create
    install_mmdebstrap
    unmount
    rm -rf --one-file-system "$POOL_DIR"
    mkdir -p "$POOL_DIR"
    say "making $POOL_DIR"
    # policy-rc.d: no package may start a daemon while it is installed
    mmdebstrap --quiet --mode=root --format=directory --variant=apt --include="$INCLUDE" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --setup-hook='mkdir -p "$1/usr/sbin"' \
        --setup-hook='printf "#!/bin/sh\nexit 101\n" > "$1/usr/sbin/policy-rc.d"' \
        --setup-hook='chmod +x "$1/usr/sbin/policy-rc.d"' \
        "$SUITE" "$POOL_DIR" "deb $(mirror) $SUITE main" >&2
    chroot "$POOL_DIR" groupadd -g $POOL_UID $POOL_USER
    chroot "$POOL_DIR" useradd -m -u $POOL_UID -g $POOL_UID -s /bin/bash $POOL_USER
    grep -qw "$(hostname)" "$POOL_DIR/etc/hosts" 2>/dev/null ||
        echo "127.0.0.1 localhost $(hostname)" >>"$POOL_DIR/etc/hosts"
    copy_python
    touch "$POOL_DIR/.created"
}

copy_python() { # the interpreter that virtual environments outside link to
    local version
    version=$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    [ -e "$POOL_DIR/usr/bin/$version" ] && return
    cp "/usr/bin/$version" "$POOL_DIR/usr/bin/"
    ln -sf "$version" "$POOL_DIR/usr/bin/python3"
    cp -r "/usr/lib/$version" "$POOL_DIR/usr/lib/"
}

mount_all() {
    local name
    for name in $MOUNTS; do
        mountpoint -q "$POOL_DIR/$name" && continue
        need_root mounting
        if [ "$name" = proc ]; then
            mount -t proc proc "$POOL_DIR/proc"
        else
            mount --bind "/$name" "$POOL_DIR/$name"
        fi
    done
}

unmount() {
    local name
    for name in $MOUNTS; do
        while mountpoint -q "$POOL_DIR/$name"; do umount -l "$POOL_DIR/$name" || break; done
    done
}

common_settings() { # for daemons and clients
    cat <<EOF_COMMON
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:$POOL_PORT
NETWORK_INTERFACE = 127.0.0.1
ENABLE_IPV6 = False
UID_DOMAIN = pool.test
FILESYSTEM_DOMAIN = pool.test
# newer clients refuse FS authentication by an older server without this
SEC_FS_ENFORCE_CHANNEL_BINDING = False
EOF_COMMON
}

client() {
    common_settings
    cat <<EOF_CLIENT
SCHEDD_HOST = $POOL_USER@localhost
SEC_CLIENT_AUTHENTICATION_METHODS = FS
EOF_CLIENT
}

configure() {
    { common_settings; cat <<EOF_DAEMONS; } >"$POOL_DIR/etc/condor/config.d/99-test.conf"
# one user, one port
USE_SHARED_PORT = True
SHARED_PORT_PORT = $POOL_PORT
LOCAL_DIR = $HOME_IN/condor
RUN = \$(LOCAL_DIR)/run
LOG = \$(LOCAL_DIR)/log
LOCK = \$(LOCAL_DIR)/lock
SPOOL = \$(LOCAL_DIR)/spool
EXECUTE = \$(LOCAL_DIR)/execute
CRED_STORE_DIR = \$(LOCAL_DIR)/cred
PROCD_ADDRESS = \$(RUN)/procd_pipe
ALLOW_ADMINISTRATOR = *
ALLOW_DAEMON = *
ALLOW_NEGOTIATOR = *
# a chroot's root is no mount point: private mounts for jobs fail with errno 22 (hold 6/22)
PER_JOB_NAMESPACES = False
MOUNT_UNDER_SCRATCH =
CGROUP_POLLING_INTERVAL = 3600
# without the procd this version's startd crashes at the first condor_rm
USE_PROCD = True
# slots that exist on paper only; jobs here sleep or compute little
NUM_CPUS = $POOL_SLOTS
MEMORY = $((POOL_SLOTS * 1024))
DISK = $((POOL_SLOTS * 1024 * 1024))
NUM_SLOTS = $POOL_SLOTS
NUM_SLOTS_TYPE_1 = $POOL_SLOTS
SLOT_TYPE_1 = cpus=1
SLOT_TYPE_1_PARTITIONABLE = False
START = True
SUSPEND = False
PREEMPT = False
KILL = False
# short cycles
NEGOTIATOR_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_MIN_INTERVAL = 1
SCHEDD_INTERVAL = 2
SCHEDD_MIN_INTERVAL = 1
UPDATE_INTERVAL = 5
JOB_START_DELAY = 0
JOB_START_COUNT = 50
STARTER_UPDATE_INTERVAL = 2
STARTER_INITIAL_UPDATE_INTERVAL = 1
SHADOW_QUEUE_UPDATE_INTERVAL = 2
PERIODIC_EXPR_INTERVAL = 1
MAX_PERIODIC_EXPR_INTERVAL = 5
PERIODIC_EXPR_TIMESLICE = 0.5
MASTER_BACKOFF_CONSTANT = 1
MASTER_BACKOFF_CEILING = 3
CLAIM_WORKLIFE = 1200
RUNBENCHMARKS = 0
STARTD_CRON_JOBLIST =
SCHEDD_CRON_JOBLIST =
# a limit that a test can run into
MAX_JOBS_PER_SUBMISSION = 12000
# what sites do about memory where cgroups do not: hold 26, and a subcode of their own
SYSTEM_PERIODIC_HOLD_NAMES = MEM
SYSTEM_PERIODIC_HOLD_MEM = JobStatus == 2 && MemoryUsage =!= undefined && MemoryUsage > RequestMemory
SYSTEM_PERIODIC_HOLD_MEM_REASON = strcat("memory usage ", MemoryUsage, " MB above RequestMemory ", RequestMemory, " MB")
SYSTEM_PERIODIC_HOLD_MEM_SUBCODE = 34
DAGMAN_USER_LOG_SCAN_INTERVAL = 1
DAGMAN_SUBMIT_DELAY = 0
DAGMAN_QUEUE_UPDATE_INTERVAL = 2
# a test pool's queue need not survive a power cut
CONDOR_FSYNC = False
EOF_DAEMONS
    # what tests change: theirs to write, read by the schedd at a hangup
    install -o $POOL_UID -g $POOL_UID /dev/null "$POOL_DIR/etc/condor/config.d/99-z-site.conf"
    inside sh -c "cd $HOME_IN && mkdir -p condor/run condor/log condor/lock condor/spool \
        condor/execute condor/cred && chmod 700 condor/cred"
}

inside() { # run a command in the pool, as its user, with a clean environment
    chroot --userspec=$POOL_UID:$POOL_UID "$POOL_DIR" env -i HOME=$HOME_IN USER=$POOL_USER \
        LOGNAME=$POOL_USER PATH=/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 "$@"
}

processes() { # pids of everything that runs in this pool, whoever its parent is
    local root link
    root=$(readlink -f "$POOL_DIR")
    for link in /proc/[0-9]*/root; do
        [ "$(readlink "$link" 2>/dev/null)" = "$root" ] || continue
        link=${link%/root}
        echo "${link#/proc/}"
    done
    true
}

master() {
    local pid
    for pid in $(processes); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = condor_master ] && echo "$pid"
    done
    true
}

is_ready() { # the schedd answers and every slot is known
    inside condor_q -totals >/dev/null 2>&1 &&
        [ "$(inside condor_status -af Name 2>/dev/null | wc -l)" -ge "$POOL_SLOTS" ]
}

start() {
    [ -e "$POOL_DIR/.created" ] || die "$POOL_DIR is not there; pool.sh up makes it"
    need_root start
    mount_all
    configure
    [ -n "$(master)" ] || inside setsid condor_master -f </dev/null >/dev/null 2>&1 &
    local end=$((SECONDS + 60))
    until is_ready; do
        [ $SECONDS -lt $end ] || die "the pool did not come up; see $POOL_DIR$HOME_IN/condor/log"
        sleep 0.2
    done
}

stop() { # fast shutdown, then whatever is left: a surviving shared_port would keep the port
    local pid end=$((SECONDS + 6))
    for pid in $(master); do kill -QUIT "$pid" 2>/dev/null || true; done
    while [ -n "$(processes)" ] && [ $SECONDS -lt $end ]; do sleep 0.1; done
    while [ -n "$(processes)" ]; do
        for pid in $(processes); do kill -KILL "$pid" 2>/dev/null || true; done
        sleep 0.1
    done
}

status() {
    if [ -z "$(master)" ]; then
        echo "down"
        return 3
    fi
    inside condor_status -total
    inside condor_q -totals
}

destroy() {
    need_root destroy
    [ -e "$POOL_DIR" ] || return 0
    stop
    unmount
    local name
    for name in $MOUNTS; do
        ! mountpoint -q "$POOL_DIR/$name" || die "$POOL_DIR/$name is still mounted; not deleting"
    done
    rm -rf --one-file-system "$POOL_DIR"
}

case "${1:-}" in
up) create && start && status ;;
start | stop | status | destroy | client) "$1" ;;
exec) shift && inside "$@" ;;
*)
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" | sed -n '1,14p'
    exit 2
    ;;
esac
