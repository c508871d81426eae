"""The log: JSON lines in the workspace, and the same as a person reads it."""
