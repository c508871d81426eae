#!/bin/bash
# Reconstructs one raw file with given alignment constants; the same script on every batch system.
#
#   run_alignment.sh [--deliver DIR] --raw PATH --run 011705 --file 00400
#                    --writer WriteAlignmentConfig_Faser04.py --schema FASER-05_ALLP200.db
#                    --dbname CONDBR3 --pool-file FASER-05_Align.pool.root --tag TRACKER-ALIGN-05
#                    --program faser_reco_alignment.py -- ARGUMENT...
#
# With --export DIR [--reader PROGRAM] it reconstructs nothing: it ends once the alignment database is
# written, and puts its files into DIR, with what PROGRAM, given the tag, reads back from it.
#
# Starts in the job's sandbox. reco_condor_env.sh, aligndb_copy.sh, check_tags.py, inputforalign.txt
# and programs that are not on PATH are taken from the sandbox (HTCondor's file transfer puts them
# there), else from beside this script. The program gets the raw file and the arguments. Leaves
# kfalignment_<run>_<file>.root in the sandbox, or puts it into DIR (root://HOST//PATH works too),
# whole or not at all. Works in a scratch directory under $_CONDOR_SCRATCH_DIR that does not outlive
# it.
#
# Exit codes are in the table of auto_iter/batch/exitcodes.py, with remedies; here each is given with
# words of its own.
set -u

say() { echo "$(date '+%F %T') run_alignment.sh: $*"; }

give_up() {
    local code=$1
    shift
    say "$*" >&2
    # On a full disk anything fails, with any code, and no line can be written about it.
    look_at_disk
    [ -z "$was_full" ] || exit 51
    exit "$code"
}

# Remembers a full disk: it may have room again, by what failed, when the failure comes to light. A
# file system that tells no sizes is not full.
look_at_disk() {
    local left size
    read -r left size < <(df --output=avail,size -B1 -- "$sandbox" 2>/dev/null | tail -n 1)
    [ "${size:-0}" -gt 0 ] && [ "$left" -lt 1000000 ] && was_full=yes
} 2>/dev/null

HOSTNAME=${HOSTNAME:-unknown}
sandbox=$PWD
beside=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
was_full='' scratch='' child='' sourcing='' partial=''

clean_up() {
    local code=$?
    trap '' TERM INT HUP
    # A setup script may call exit, which ends us as well: say whose fault it was.
    if [ -n "$sourcing" ]; then
        say "$env_script ended the shell with exit code $code" >&2
        code=20
    fi
    cd / || true
    [ -n "$partial" ] && rm -f -- "$partial"
    [ -n "$scratch" ] && rm -rf -- "$scratch"
    exit "$code"
}

told_to_end() {
    trap '' TERM INT HUP
    sourcing=
    if [ -n "$child" ]; then
        kill -TERM -- "-$child" 2>/dev/null
        wait "$child" 2>/dev/null
    fi
    give_up 143 "told to end"
}

# Runs a step in the background, in its own process group: bash runs traps only between foreground
# commands, and the step's own children have to go with it.
step() {
    look_at_disk
    set -m
    "$@" &
    child=$!
    set +m
    wait "$child"
    local code=$?
    child=
    look_at_disk
    return "$code"
}

find_input() {
    local directory
    for directory in "$sandbox" "$beside"; do
        if [ -r "$directory/$1" ]; then
            echo "$directory/$1"
            return 0
        fi
    done
    return 1
}

# A program by name: one that travelled, else the one on PATH - also when nobody made it executable.
find_program() {
    local directory directories
    find_input "$1" && return 0
    type -P -- "$1" && return 0
    IFS=: read -ra directories <<<"$PATH"
    for directory in "${directories[@]}"; do
        if [ -f "$directory/$1" ] && [ -r "$directory/$1" ]; then
            echo "$directory/$1"
            return 0
        fi
    done
    return 1
}

trap clean_up EXIT
trap told_to_end TERM INT

raw='' run='' file='' writer='' schema='' dbname='' pool_file='' tag='' program='' deliver=''
export='' reader=''
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    [ $# -ge 2 ] || give_up 10 "$1 needs a value"
    case $1 in
        --raw) raw=$2 ;;
        --run) run=$2 ;;
        --file) file=$2 ;;
        --writer) writer=$2 ;;
        --schema) schema=$2 ;;
        --dbname) dbname=$2 ;;
        --pool-file) pool_file=$2 ;;
        --tag) tag=$2 ;;
        --program) program=$2 ;;
        --deliver) deliver=$2 ;;
        --export) export=$2 ;;
        --reader) reader=$2 ;;
        *) give_up 10 "unknown argument $1" ;;
    esac
    shift 2
done
[ $# -gt 0 ] || give_up 10 "-- and the arguments of the reconstruction are missing"
shift
reco_arguments=("$@")
for name in raw run file writer schema dbname pool_file tag program; do
    [ -n "${!name}" ] || give_up 10 "--${name/_/-} is missing"
done

say "raw file $file of run $run on $HOSTNAME: $writer, $schema, $tag"
env_script=$(find_input reco_condor_env.sh) || give_up 11 "reco_condor_env.sh is missing"
aligndb_copy=$(find_input aligndb_copy.sh) || give_up 11 "aligndb_copy.sh is missing"
check_tags=$(find_input check_tags.py) || give_up 11 "check_tags.py is missing"
constants=$(find_input inputforalign.txt) || give_up 11 "inputforalign.txt is missing"
case $raw in
    root://*) ;; # read through xrootd: only the reconstruction can tell
    *) head -c 1 -- "$raw" >/dev/null || give_up 12 "cannot read $raw" ;;
esac

# Foreign setup scripts read unset variables, overwrite ours, and return what they like: what counts
# is whether the programs are there afterwards.
run_alignment_settings=$(declare -p sandbox beside raw run file writer schema dbname pool_file tag \
    program deliver export reader reco_arguments env_script aligndb_copy check_tags constants)
sourcing=yes
set +u
source "$env_script"
status=$?
set +e -u
sourcing=
eval "$run_alignment_settings"
trap clean_up EXIT
trap told_to_end TERM INT
[ "$status" -eq 0 ] || say "$env_script returned $status" >&2
after="after $env_script (which returned $status)"
reco=$(find_program "$program") || give_up 20 "the reconstruction program $program is not on PATH" \
    "$after and did not travel with the job: give reco.program as a path"
writer_path=$(find_program "$writer") || give_up 20 "the writer $writer is not on PATH" \
    "$after and did not travel with the job: give reco.writer as a path"
for name in AtlCoolConsole.py AtlCoolCopy; do
    type -P -- "$name" >/dev/null \
        || give_up 20 "$name is not on PATH $after: Athena was not set up (asetup)"
done
python=$(type -P python || type -P python3) || give_up 20 "python is not on PATH $after"
# Calypso's scripts are executable; one that is not is a Python program.
launcher=()
[ -x "$reco" ] || launcher=("$python")

scratch=$(mktemp -d "${_CONDOR_SCRATCH_DIR:-${TMPDIR:-/tmp}}/alignment.XXXXXX") \
    && mkdir -p "$scratch/data/sqlite200" "$scratch/data/poolcond" && cd "$scratch" \
    || give_up 21 "no scratch directory under ${_CONDOR_SCRATCH_DIR:-${TMPDIR:-/tmp}}"
export ATLAS_POOLCOND_PATH=$scratch/data
export EOS_MGM_URL=${EOS_MGM_URL:-root://eosuser.cern.ch}

release=${FASER_DBRELEASE:-/cvmfs/faser.cern.ch/repo/sw/database/DBRelease/current}
step cp -- "$release/sqlite200/ALLP200.db" data/sqlite200/ALLP200.db \
    || give_up 22 "cannot copy $release/sqlite200/ALLP200.db"
chmod u+w data/sqlite200/ALLP200.db || give_up 22 "data/sqlite200/ALLP200.db stays read-only"

say "writing the alignment database from $constants"
step bash "$aligndb_copy" "$writer_path" "$schema" "$dbname" "$pool_file" "$tag" "$constants" \
    "$check_tags"
status=$?
case $status in
    0) ;;
    3[0-3]) give_up "$status" "the alignment database was not written" ;;
    *) give_up 30 "aligndb_copy.sh failed with exit code $status" ;;
esac

if [ -n "$export" ]; then
    step cp -- "$schema" ./*_Align.pool.root PoolFileCatalog.xml data/sqlite200/ALLP200.db "$export" \
        || give_up 50 "cannot put the alignment database into $export"
    [ -n "$reader" ] || exit 0
    reader_path=$(find_program "$reader") || give_up 35 "the reader $reader is not on PATH $after"
    launcher=()
    [ -x "$reader_path" ] || launcher=("$python")
    read_back() { "${launcher[@]}" "$reader_path" "$tag" >"$export/read_back.txt"; }
    step read_back || give_up 35 "$reader failed with exit code $?"
    exit 0
fi

# Asks whether the reconstruction's global tag leads to the tag that was written. What nobody can
# tell is said and believed: the next iteration's residuals tell.
refuse_other_tag() {
    local asked=$1 database=data/sqlite200/ALLP200.db
    "$python" "$check_tags" reads "$database" "$dbname" "$tag" "$asked"
    case $? in
        0) say "global tag $asked leads to $tag, where the constants are" ;;
        1) give_up 34 "reco.output_tag is $tag, but the reconstruction reads $asked, which leads to" \
            "another: the constants are ignored. Set reco.output_tag or reco.global_tag" ;;
        *) say "cannot tell whether global tag $asked leads to $tag" ;;
    esac
}
given=
for name in "${reco_arguments[@]}"; do
    [ "$given" != --cond ] || refuse_other_tag "$name"
    given=$name
done

say "reconstructing $raw"
reconstruct() {
    "${launcher[@]}" "$reco" "$raw" "${reco_arguments[@]}" | tee reconstruction.log
    return "${PIPESTATUS[0]}"
}
step reconstruct || give_up 40 "$program failed with exit code $?"
if asked=$("$python" "$check_tags" global reconstruction.log); then
    refuse_other_tag "$asked"
else
    say "the reconstruction's log names no global tag: cannot tell whether it leads to $tag"
fi

shopt -s nullglob
outputs=(Faser-Physics-*kfalignment.root)
[ ${#outputs[@]} -eq 1 ] \
    || give_up 41 "$program left ${#outputs[@]} files Faser-Physics-*kfalignment.root, not one"
output=${outputs[0]}

# A ROOT file begins with "root", a version, then the places where its data begin and end: 4 bytes
# each, big-endian, the end in 8 bytes for versions from 1000000 (files above 2 GB). Its size is the
# end; ROOT's file format, TFile.
[ "$(head -c 4 -- "$output" | tr -d '\0')" = root ] || give_up 42 "$output is not a ROOT file"
number() { # OFFSET LENGTH: a big-endian number of the output's header
    echo "$((16#0$(od -An -v -tx1 -j "$1" -N "$2" -- "$output" | tr -d ' \n')))"
}
end=$(number 12 4)
[ "$(number 4 4)" -lt 1000000 ] || end=$(number 12 8)
size=$(wc -c <"$output")
[ "$end" -gt 0 ] && [ "$size" -ge "$end" ] \
    || give_up 42 "$output was cut short: $size bytes instead of $end"

# Calypso brings PyROOT; elsewhere the reader of the file judges.
if command -v python >/dev/null; then
    step timeout 300 python - "$output" <<'PYTHON'
import sys
try:
    import ROOT
except Exception:
    sys.exit(0)
try:
    tracks = ROOT.TFile.Open(sys.argv[1]).Get("tree")
except (OSError, AttributeError, ReferenceError):
    sys.exit(42)
sys.exit(0 if tracks and tracks.GetEntries() > 0 else 43)
PYTHON
    status=$?
    [ "$status" -ne 42 ] || give_up 42 "ROOT cannot open $output"
    [ "$status" -ne 43 ] || give_up 43 "$output holds no track"
fi

name=kfalignment_${run}_$file.root
case $deliver in
    root://*)
        # --posc: whole or not at all; --path makes the directory.
        step xrdcp --force --posc --path --silent "$output" "$deliver/$name" \
            || give_up 50 "xrdcp cannot deliver $name to $deliver (exit code $?)"
        say "delivered $name, $size bytes, to $deliver"
        exit 0
        ;;
esac
partial=${deliver:-$sandbox}/.$name.$HOSTNAME.$$
step cp -- "$output" "$partial" && sync -- "$partial" \
    && mv -f -- "$partial" "${deliver:-$sandbox}/$name" \
    || give_up 50 "cannot deliver $name to ${deliver:-$sandbox}"
partial=
say "delivered $name, $size bytes, to ${deliver:-$sandbox}"
