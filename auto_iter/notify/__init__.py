"""Telling people: events handed to a command, and mailed, in a process of their own."""
