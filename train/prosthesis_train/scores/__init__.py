"""Scores of generators and encoders, each with the controls without which it means nothing."""
