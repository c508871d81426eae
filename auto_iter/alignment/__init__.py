"""An alignment as values and protocols: what is remembered, decided by, and needed of the world."""
