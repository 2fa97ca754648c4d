"""Text column in, findings out. Pure: no I/O besides reading its own rule packs and models."""
