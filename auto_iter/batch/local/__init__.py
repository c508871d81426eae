"""Jobs on this machine, with HTCondor's semantics."""
