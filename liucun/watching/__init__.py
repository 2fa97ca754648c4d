"""What operators watch: metrics, the small server that shows them, and structured logs (docs/operations.md)."""
