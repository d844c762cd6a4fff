"""What every training method shares: checkpoints, guardrails, averaging, progress, reports."""
