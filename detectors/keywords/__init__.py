"""Keyword rules: packs of them, their lint, and one scan over a column."""
