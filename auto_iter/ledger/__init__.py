"""The chain of evidence: what constants were made of, compared, gone back to, made once more."""
