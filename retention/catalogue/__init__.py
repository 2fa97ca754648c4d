"""What the archive holds, how far each source has come, and who did what."""
