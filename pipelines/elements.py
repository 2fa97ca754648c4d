"""How the stream's elements cross between stages that a runner does not fuse.

Beam estimates the size of elements by encoding them, which for batches of megabytes
costs a fifth of the whole run; a coder that knows the size saves that.
"""

from __future__ import annotations

import pickle
from typing import Any

from pipelines.batches import BatchResult, DetectedBatch, PairedBatch, RawBatch
from pipelines.beam import beam


class ElementCoder(beam.coders.Coder):
    """Pickle, protocol 5. Workers and job belong to one deployment: nothing from outside is ever decoded."""

    def encode(self, value: Any) -> bytes:
        """Element to bytes."""
        return pickle.dumps(value, protocol=5)

    def decode(self, encoded: bytes) -> Any:
        """Bytes to element."""
        return pickle.loads(encoded)

    def estimate_size(self, value: Any) -> int:
        """Size in bytes, near enough: that of the source's bytes."""
        raw = value if isinstance(value, RawBatch) else getattr(value, "raw", None)
        return len(raw.data) if isinstance(raw, RawBatch) else 256

    def is_deterministic(self) -> bool:
        """Never used as a key."""
        return False


def register_coders() -> None:
    """Make the coder known to Beam before a graph is built."""
    for element in (RawBatch, PairedBatch, DetectedBatch, BatchResult):
        beam.coders.registry.register_coder(element, ElementCoder)
