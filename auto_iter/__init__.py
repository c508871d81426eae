"""auto-iter: iterative alignment of the FASER tracker, as a crash-safe daemon."""

__version__ = "0.1.0"
