"""`auto-iter millepede`: the Mille/pede chain by hand."""
