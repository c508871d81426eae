#!/bin/bash
# Brings a pool up, installs this checkout where the pool's user can read it, runs tests there, and
# takes everything down again, whatever happens.
#
#   run.sh [PYTEST ARGUMENTS]     run tests/pool (or what the arguments name) as the pool's user
#   run.sh --command CMD...       run CMD with the same environment instead
#
# From the environment: POOL_DIR, POOL_PORT, POOL_SLOTS as for pool.sh; KEEP=1 leaves the pool and
# the virtual environment there for the next run (end with `pool.sh destroy`, rm -r $SCRATCH);
# POOL_LIMIT_S: after so long the tests are ended, with exit code 124 (45 minutes).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
export POOL_DIR=${POOL_DIR:-/var/tmp/auto-iter-test-pool}
export POOL_PORT=${POOL_PORT:-9720}
export POOL_SLOTS=${POOL_SLOTS:-12}
LIMIT_S=${POOL_LIMIT_S:-2700}
# /tmp is the one place that the pool and this machine both see under the same name.
SCRATCH=${SCRATCH:-/tmp/auto-iter-pool-$POOL_PORT}
UID_IN_POOL=5001

[ "$(id -u)" = 0 ] || {
    echo "run.sh: needs root, to make the pool and to become its user" >&2
    exit 1
}

ours() { # pids of what was started here: tests, daemons, local jobs
    local each
    for each in /proc/[0-9]*/environ; do
        grep -qzxF "CONDOR_CONFIG=$SCRATCH/client.conf" "$each" 2>/dev/null || continue
        each=${each%/environ}
        echo "${each#/proc/}"
    done
    true
}

take_down() {
    local code=$? pid
    trap '' INT TERM HUP
    while [ -n "$(ours)" ]; do
        for pid in $(ours); do kill -KILL "$pid" 2>/dev/null || true; done
        sleep 0.1
    done
    unmount_small_disk
    if [ "${KEEP:-}" != 1 ]; then
        "$here/pool.sh" destroy || code=1
        rm -rf "$SCRATCH"
    fi
    exit "$code"
}
trap take_down EXIT
trap 'exit 130' INT TERM HUP

as_user() { # in the background: bash would not obey a signal before a foreground command ends;
    # which has INT ignored there, unless told otherwise
    setpriv --reuid $UID_IN_POOL --regid $UID_IN_POOL --clear-groups env -i --default-signal=INT \
        HOME="$SCRATCH/home" USER=faser LOGNAME=faser LANG=C.UTF-8 \
        PATH="$SCRATCH/venv/bin:$SCRATCH/bin:/usr/bin:/bin" CONDOR_CONFIG="$SCRATCH/client.conf" \
        PYTHONDONTWRITEBYTECODE=1 \
        SMALL_DISK="$SCRATCH/small" POOL_DIR="$POOL_DIR" POOL_COLLECTOR="127.0.0.1:$POOL_PORT" "$@" &
    wait $!
}

pytest_as_user() { # name of a directory, options
    local name=$1
    shift
    # A test that hangs is ended by pytest, and says where; this is for what pytest cannot end.
    local left=$((LIMIT_S - (SECONDS - began)))
    as_user timeout --signal INT --kill-after 30 "$((left > 1 ? left : 1))" \
        python -m pytest -p no:cacheprovider --durations 10 --basetemp "$SCRATCH/work/$name" "$@"
}

make_venv() { # from Debian's own Python: the pool has a copy of it
    [ -x "$SCRATCH/venv/bin/pip" ] && return
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null ||
        apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    /usr/bin/python3 -m venv "$SCRATCH/venv"
}

mount_small_disk() { # for what happens when it is full
    mkdir -p "$SCRATCH/small"
    unmount_small_disk
    mount -t tmpfs -o "size=40m,uid=$UID_IN_POOL,gid=$UID_IN_POOL,mode=755" tmpfs "$SCRATCH/small"
    # the pool's /tmp is a bind mount, and shows no file system that was mounted later
    mountpoint -q "$POOL_DIR$SCRATCH/small" ||
        mount --bind "$SCRATCH/small" "$POOL_DIR$SCRATCH/small"
}

unmount_small_disk() {
    umount -l "$POOL_DIR$SCRATCH/small" 2>/dev/null || true
    umount -l "$SCRATCH/small" 2>/dev/null || true
}

make_condor_tools() { # the pool's own, for this machine's side: with the libraries they were built for
    local loader="$POOL_DIR/lib64/ld-linux-x86-64.so.2" libraries="$POOL_DIR/usr/lib" tool
    mkdir -p "$SCRATCH/bin"
    for tool in condor_q condor_submit_dag condor_submit; do
        printf '#!/bin/sh\nexec %s --library-path %s:%s %s "$@"\n' "$loader" \
            "$libraries/x86_64-linux-gnu" "$libraries" "$POOL_DIR/usr/bin/$tool" \
            >"$SCRATCH/bin/$tool"
        chmod 755 "$SCRATCH/bin/$tool"
    done
    # Found here by condor_submit_dag, run there by the schedd: with the pool's configuration, not ours.
    printf '#!/bin/sh\nunset CONDOR_CONFIG _CONDOR_SCHEDD_ADDRESS_FILE _CONDOR_SCHEDD_DAEMON_AD_FILE\nexec /usr/bin/condor_dagman "$@"\n' \
        >"$SCRATCH/bin/condor_dagman"
    chmod 755 "$SCRATCH/bin/condor_dagman"
}

install_checkout() {
    local constraints=()
    [ -f "$checkout/constraints.txt" ] && constraints=(-c "$checkout/constraints.txt")
    # A copy: pip leaves build directories beside what it installs.
    rm -rf "$SCRATCH/source" "$SCRATCH/project"
    mkdir -p "$SCRATCH/source" "$SCRATCH/project"
    tar -C "$checkout" --exclude=__pycache__ -c auto_iter states conf setup.cfg pyproject.toml \
        README.md | tar -C "$SCRATCH/source" -x
    tar -C "$checkout" --exclude=__pycache__ -c tests benchmarks setup.cfg |
        tar -C "$SCRATCH/project" -x
    "$SCRATCH/venv/bin/pip" install --quiet --disable-pip-version-check --no-warn-script-location \
        "${constraints[@]}" "$SCRATCH/source" pytest pytest-timeout pytest-xdist hypothesis 2> >(grep -v '^WARNING: Location' >&2)
    "$SCRATCH/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --force-reinstall "$SCRATCH/source" 2> >(grep -v '^WARNING: Location' >&2)
}

began=$SECONDS
"$here/pool.sh" up >/dev/null
echo "run.sh: pool up after $((SECONDS - began)) s"
mkdir -p "$SCRATCH/home" "$SCRATCH/work"
"$here/pool.sh" client >"$SCRATCH/client.conf"
make_condor_tools
make_venv
mount_small_disk
install_checkout
chown $UID_IN_POOL:$UID_IN_POOL "$SCRATCH/home" "$SCRATCH/work" "$SCRATCH/project"
chmod 755 "$SCRATCH"
echo "run.sh: installed after $((SECONDS - began)) s"
cd "$SCRATCH/project"
if [ "${1:-}" = --command ]; then
    shift
    as_user "$@"
else
    case " $*" in *" tests/"*) ;; *) set -- tests/pool "$@" ;; esac
    # First those that share the pool, then one by one those that kill its daemons, or fill it.
    together=0 alone=0
    pytest_as_user together -n "${POOL_TESTS:-4}" -m shares_pool "$@" || together=$?
    pytest_as_user alone -m "not shares_pool" "$@" || alone=$?
    [ "$together$alone" != 55 ] || exit 5
    for code in $together $alone; do
        [ "$code" = 0 ] || [ "$code" = 5 ] || exit "$code" # 5: there are none of this kind
    done
fi
