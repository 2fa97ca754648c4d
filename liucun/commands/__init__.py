"""One file a command; ``liucun.cli`` finds them by name."""
