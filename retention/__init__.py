"""The archive: record schema, crypto, container, segments, catalogue, audits and queries."""
