"""How long each class of records is kept, on what ground, and what may go on a given day."""
