"""Pictures to train on: sets with splits that never leak, each with its source, licence and digest."""
