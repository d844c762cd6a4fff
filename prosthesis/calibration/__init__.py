"""What the device knows of its patient, one row an electrode, and how it is measured through the link."""
