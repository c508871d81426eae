"""`auto-iter rollback`, `branch`, `reproduce`: an alignment's past."""
