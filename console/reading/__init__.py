"""What pages and API read from the catalogue: figures, calendars, lists; nothing here changes anything."""
