"""The search index: Elasticsearch follows the archive's log and forgets what the archive forgets."""
