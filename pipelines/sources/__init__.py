"""Where raw batches come from: files (and, deployed, Kafka and HTTP)."""
