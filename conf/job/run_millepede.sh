#!/bin/bash
# Everything between two reconstructions, as a job of a DAG: converts, solves, prepares what is next.
#
#   run_millepede.sh WORKSPACE ITERATION PYTHON ENV_SCRIPT|-
#
# Works in the workspace itself, which worker nodes have to see. PYTHON has auto-iter installed and
# is seen as well; or it is the name of one that is there, and auto_iter_program.tar.gz came with the
# job. ENV_SCRIPT is sourced first: it puts pede on PATH.
#
# Exit codes: 0 there are more iterations; 100 there are none; 64 failed, and would again. With any
# other the node is tried again: 11 the workspace, or PYTHON, is not seen from this machine.
set -u

say() { echo "$(date '+%F %T') run_millepede.sh: $*" >&2; }

workspace=$1 iteration=$2 python=$3 env=$4
sandbox=$PWD

if [ "$env" != - ]; then
    # Only its paths are wanted: it may use what is unset, call exit, set variables that are ours,
    # and have a Python of its own in mind.
    # shellcheck disable=SC1090
    found=$(set +eu; source "$env" >&2; echo "$PATH"; echo "${LD_LIBRARY_PATH:-}")
    if [ -z "$found" ]; then
        say "$env ended by itself, before it had set anything"
        exit 11
    fi
    PATH=$(head -n 1 <<<"$found")
    LD_LIBRARY_PATH=$(tail -n 1 <<<"$found")
    export PATH LD_LIBRARY_PATH
fi
# A file system that hiccups comes back; a node that gives up at once uses up its tries in a minute.
for ((waited = 0; waited < ${AUTO_ITER_PATIENCE_S:-300}; waited += 2)); do
    [ -f "$workspace/state.yaml" ] && break
    sleep 2
done
if [ ! -f "$workspace/state.yaml" ]; then
    say "$workspace is not seen from ${HOSTNAME:-this machine}: a DAG's workspace has to be on a" \
        "file system that worker nodes mount"
    exit 11
fi
if [ -f "$sandbox/auto_iter_program.tar.gz" ]; then
    mkdir -p "$sandbox/program" && tar -xzf "$sandbox/auto_iter_program.tar.gz" -C "$sandbox/program" ||
        { say "auto_iter_program.tar.gz cannot be unpacked"; exit 11; }
    export PYTHONPATH=$sandbox/program
fi
if ! command -v "$python" >/dev/null; then
    say "$python is not there: install auto-iter where worker nodes see it, or set dag.travel"
    exit 11
fi
cd "$workspace" || exit 11
exec "$python" -m auto_iter dag node "$workspace" "$iteration"
