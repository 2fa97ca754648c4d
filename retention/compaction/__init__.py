"""Compaction: small segments become few large ones, and what nothing names any more is collected."""
