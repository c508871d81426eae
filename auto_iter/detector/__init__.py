"""FASER's tracker: labels, rules on them, geometry, field, and the constants that align it."""
