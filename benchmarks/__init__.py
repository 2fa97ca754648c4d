"""Measured comparisons, runnable by anyone: `liucun bench`."""
