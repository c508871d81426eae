"""Commands that look at alignments and change nothing."""
