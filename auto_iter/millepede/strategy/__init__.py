"""Strategies: which parameters are free in which step, for how long, and how one is read."""
