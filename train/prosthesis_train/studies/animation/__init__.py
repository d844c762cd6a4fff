"""Living pictures measured: reconstruction, flow, occlusion, speed, films, and what they do for the product."""
