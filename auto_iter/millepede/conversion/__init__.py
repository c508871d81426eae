"""From fitted tracks in ROOT files to Mille records, with statistics."""
