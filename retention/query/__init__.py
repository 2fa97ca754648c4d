"""Questions asked of the archive in SQL: read-only, with a purpose, recorded before they are answered."""
