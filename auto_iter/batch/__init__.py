"""The batch systems: where reconstruction jobs run."""
