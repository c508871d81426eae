"""pede's steering files, read as pede reads them."""
