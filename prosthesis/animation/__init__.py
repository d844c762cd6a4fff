"""Living pictures at run time: a still moved by films or a camera, through a bundle and its engine; no torch."""
