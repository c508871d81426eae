"""Calls to a schedd: their protocol, and the child process in which they are made."""
