#!/bin/bash
# Writes the alignment constants into the alignment database of a reconstruction job.
#
#   aligndb_copy.sh WRITER SCHEMA DBNAME POOL_FILE TAG CONSTANTS CHECK
#
# WRITER is the path of the program that makes the SQLite file SCHEMA and POOL_FILE; TAG the one
# under which they are put into data/sqlite200/ALLP200.db; CONSTANTS the path of inputforalign.txt;
# CHECK that of check_tags.py. Works in the current directory; leaves the constants in that database
# and in data/poolcond/. What is there counts, not what a program returns: some fail and return 0,
# AtlCoolConsole.py may return anything. Exit codes: see run_alignment.sh.
set -u

writer=$1 schema=$2 dbname=$3 pool_file=$4 tag=$5 constants=$6 check=$7
target=data/sqlite200/ALLP200.db

say() { echo "aligndb_copy.sh: $*" >&2; }

give_up() {
    local code=$1
    shift
    say "$*"
    exit "$code"
}

# Lists what the writer left that matches: it names its files by itself.
left() {
    local found
    found=$(compgen -G "$1" | paste -sd ' ')
    echo "${found:-none}"
}

# Asks check_tags.py; where it cannot tell, the answer is yes.
is_so() {
    "$python" "$check" "$@"
    [ $? -ne 1 ]
}

python=$(type -P python || type -P python3)
launcher=()
[ -x "$writer" ] || launcher=("$python")

rm -f -- *_Align.pool.root *_ALLP200.db PoolFileCatalog.xml
# The writer is VERBOSE by design, megabytes of it: only its last words are of use, where it fails.
"${launcher[@]}" "$writer" "AlignDbTool.AlignmentConstants={$(cat -- "$constants")}" >writer.log 2>&1
status=$?
[ "$status" -eq 0 ] || tail -n 20 writer.log >&2
[ "$status" -eq 0 ] || give_up 30 "$writer failed with exit code $status"

[ -s "$schema" ] || give_up 31 "reco.writer and reco.sqlite_schema disagree:" \
    "$(basename -- "$writer") left $(left '*_ALLP200.db'), not $schema"
is_so folder "$schema" "$dbname" || give_up 31 "reco.writer and reco.dbname disagree:" \
    "$schema holds no alignment in $dbname"
[ -s PoolFileCatalog.xml ] \
    || give_up 33 "the constants were not written: no PoolFileCatalog.xml after $writer"
[ -s "$pool_file" ] || give_up 33 "reco.writer and reco.pool_file disagree:" \
    "$(basename -- "$writer") left $(left '*_Align.pool.root'), not $pool_file"

echo exit | AtlCoolConsole.py "sqlite://;schema=$schema;dbname=$dbname" \
    || say "AtlCoolConsole.py returned $?: what counts is what the database holds"

AtlCoolCopy "sqlite://;schema=./$schema;dbname=$dbname" "sqlite://;schema=$target;dbname=$dbname" \
    -fnp -ot "$tag"
status=$?
"$python" "$check" tag "$target" "$dbname" "$tag" PoolFileCatalog.xml
is_there=$?
[ "$is_there" -eq 0 ] || { [ "$is_there" -ne 1 ] && [ "$status" -eq 0 ]; } \
    || give_up 32 "AtlCoolCopy (exit code $status) did not put $tag into $target"
[ "$status" -eq 0 ] || say "AtlCoolCopy returned $status, but $tag is there"

cp -- PoolFileCatalog.xml ./*_Align.pool.root data/poolcond/ \
    || give_up 33 "PoolFileCatalog.xml and $pool_file cannot be copied to data/poolcond"
ln -sf PoolFileCatalog.xml data/poolcond/PoolCat_oflcond.xml \
    || give_up 33 "cannot link data/poolcond/PoolCat_oflcond.xml"
