"""A campaign: one alignment for each range of raw files, and whether the detector stayed."""
