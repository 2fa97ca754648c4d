"""Runs the graph on a cluster: the streaming source, the worker pool, submission and supervision."""
