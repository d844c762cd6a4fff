"""Studies of the task encoders."""
