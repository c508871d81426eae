"""What auto-iter ships beside its code: defaults, strategies, job templates."""
