"""The console: web pages and the HTTP API over the archive and the disposal queue (``liucun serve``)."""
