#!/bin/bash
# Writes the alignment constants into the alignment database of a reconstruction job.
#
#   aligndb_copy.sh TAG CONSTANTS
#
# TAG is the two digits of the geometry (04), CONSTANTS the path of inputforalign.txt. Works in the
# current directory, which has data/sqlite200/ALLP200.db already; leaves the constants in that file
# and in data/poolcond/. Exit codes: see run_alignment.sh.
set -u

tag=$1
constants=$2

give_up() {
    echo "aligndb_copy.sh: $2" >&2
    exit "$1"
}

rm -f -- *_Align.pool.root *_ALLP200.db PoolFileCatalog.xml

writer=$(command -v "WriteAlignmentConfig_Faser$tag.py") \
    || give_up 30 "WriteAlignmentConfig_Faser$tag.py is not on PATH"
[ -x "$writer" ] && set -- || set -- python
"$@" "$writer" "AlignDbTool.AlignmentConstants={$(cat -- "$constants")}" \
    || give_up 30 "$writer failed with exit code $?"

database="FASER-${tag}_ALLP200.db"
echo exit | AtlCoolConsole.py "sqlite://;schema=$database;dbname=CONDBR3" \
    || give_up 31 "AtlCoolConsole.py could not read $database (exit code $?)"

AtlCoolCopy "sqlite://;schema=./$database;dbname=CONDBR3" \
    "sqlite://;schema=data/sqlite200/ALLP200.db;dbname=CONDBR3" \
    -fnp -ot "TRACKER-ALIGN-$tag" \
    || give_up 32 "AtlCoolCopy of tag TRACKER-ALIGN-$tag failed with exit code $?"

cp -- PoolFileCatalog.xml ./*_Align.pool.root data/poolcond/ \
    || give_up 33 "the constants were not written: no PoolFileCatalog.xml or *_Align.pool.root"
ln -sf PoolFileCatalog.xml data/poolcond/PoolCat_oflcond.xml \
    || give_up 33 "cannot link data/poolcond/PoolCat_oflcond.xml"
