"""The finite-state machine: `table` has the arrows, one file a state says what is done there."""
