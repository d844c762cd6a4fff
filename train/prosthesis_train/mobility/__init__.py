"""Closed-loop mobility: a walker in ViZDoom that sees only percepts, and what it bumps into."""
