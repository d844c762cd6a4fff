"""People's faces: found, recognised among those enrolled, and shown. Pure parts of ``prosthesis/encoders/face.py``."""
