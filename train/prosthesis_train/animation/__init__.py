"""Living pictures: people with known motion to learn from, losses, a judge and figures of the animation networks."""
