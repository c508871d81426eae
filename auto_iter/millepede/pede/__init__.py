"""pede as a program, and the files that it reads and writes."""
