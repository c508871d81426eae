"""What a person sees of an alignment: tables and plots."""
