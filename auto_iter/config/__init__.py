"""Settings: what each means, where they come from, and how they are completed on this machine."""
