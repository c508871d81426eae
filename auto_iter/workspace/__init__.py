"""One alignment on disk: its paths, and what is recorded of its files and still holds."""
