"""`report.html`: one file with everything in it, for a browser, a phone or a printer."""
