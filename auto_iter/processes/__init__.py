"""Processes: known for good, started as children, ended with all of theirs."""
