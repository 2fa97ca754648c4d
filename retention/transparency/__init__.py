"""The transparency log: a Merkle log over manifests and events, its checkpoints and their custodians."""
