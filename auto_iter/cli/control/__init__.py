"""Commands with which a person takes a hand in an alignment, running or not."""
