"""Weakly constrained combinations: eigenmodes by name, and constants compared without them."""
