"""Checkpoint files: reading and writing every weight format, and where checkpoints lie."""
