"""What numbers say of an alignment: whether constants arrived, and how it stands with it."""
