"""The built-in solver: what pede does, in this process, to the digit."""
