"""Raw bytes of one source into Arrow batches of the record schema."""
