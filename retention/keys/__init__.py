"""Three levels of keys: provider, period, data."""
