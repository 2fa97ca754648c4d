"""Web pages and HTTP API."""
