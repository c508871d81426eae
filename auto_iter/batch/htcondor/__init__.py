"""HTCondor as a batch system: `system.HTCondorBatch`. The bindings are imported by `calls` only."""
