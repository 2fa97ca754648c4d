"""A platform's logs from nothing: seeded, with planted violations, for the demo and for tests of recall."""
