"""Commercial and international cipher suites behind one interface."""
