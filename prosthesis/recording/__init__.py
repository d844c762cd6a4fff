"""What listens to a session and keeps or passes on what it heard: recordings and their rerun, metrics, lab streams."""
