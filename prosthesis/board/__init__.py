"""The machine we are on: which board it is, what its maker published, what works on it, what it draws."""
