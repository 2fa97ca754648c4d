"""Stages of the graph: each a named PTransform around a plain function that tests call without Beam."""
