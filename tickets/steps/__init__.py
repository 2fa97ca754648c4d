"""The steps that people and timed work take with tickets; ``tickets.service.Desk`` joins them."""
