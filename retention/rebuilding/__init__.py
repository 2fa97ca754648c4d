"""The catalogue from the objects alone: which entries the log had, and what each of them restores."""
