"""Commands for a machine before there is an alignment: settings, checks, a simulated detector."""
