"""Bench stimulators without the hardware: the emulator of any profile, and the servers that lab clients connect to."""
