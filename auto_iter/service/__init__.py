"""An alignment as a service of the user's systemd: written, installed, looked at."""
