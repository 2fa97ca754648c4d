"""Look-ups: which blocks of a sealed segment hold a value, and reading nothing but those blocks."""
