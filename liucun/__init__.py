"""The front door: settings and the command line."""
