"""The HTTP API under ``/v1``: the console's data and steps for programs, with bearer tokens."""
