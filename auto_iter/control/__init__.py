"""A person's hand on an alignment, whether a daemon is at work on it or not."""
