"""Loaded by every Python process of an alignment whose PYTHONPATH has this directory in front."""

import os
import sys

import recorder  # type: ignore[import-not-found]  # in this directory, which PYTHONPATH names

if "auto_iter.report" in sys.orig_argv:
    os._exit(0)  # plots take longest, and nothing depends on them
recorder.start_if_asked(os.environ)
