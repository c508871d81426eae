"""The Kerberos ticket that jobs and files are reached with: how long it lasts, and what if not."""
