"""Brain readers and writers: maps between codes, and what reads pictures from responses."""
