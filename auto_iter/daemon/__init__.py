"""The process that runs for days: its life, its loop, its lock, and what others see of it."""
