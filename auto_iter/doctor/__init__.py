"""Checks whether all is there that an alignment needs."""
