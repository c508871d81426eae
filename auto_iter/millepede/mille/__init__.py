"""Mille binaries: records as arrays, files, and both as text."""
