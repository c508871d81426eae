"""An alignment handed to DAGMan: written, submitted, followed, and brought back."""
