"""A person's short visits to a workspace: what is done there without a daemon, under its lock."""
