"""Studies of task encoders: one module a topic."""
