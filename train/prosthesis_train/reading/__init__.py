"""Brain codes read and written: maps between machine and brain codes, and readers that produce images."""
