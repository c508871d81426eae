"""A stand-in for the detector and for Calypso, on a machine that has neither.

It reads in this order: `geometry` (where strips are, what constants do), `field` (how muons fly),
`misalignment` and `generation` (a detector and its raw files), `rawfile` (their format), `pattern`
and `fit` (reconstruction), `derivatives`, `rootfile` (what comes out), `calypso` and `install` (the
programs that the job script calls), `simulate` (all of it for one directory).
"""
