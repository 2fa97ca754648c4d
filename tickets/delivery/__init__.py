"""Delivers the outbox: the platform's webhook, mail, group robots."""
