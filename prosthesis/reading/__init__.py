"""Words in camera pictures: found, cut out, read, and remembered from frame to frame."""
