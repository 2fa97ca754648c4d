"""The Beam graph: sources, stages as named PTransforms, runners."""
