"""The studies behind ``docs/results/tasks.md``: one topic a module."""
