"""Normalising a column of text: what disguised words count as, with a map back to the original."""
