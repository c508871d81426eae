"""What a person sees in a terminal: text that fits 80 columns, and displays that stay in place."""
