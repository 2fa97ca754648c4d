"""Destruction 销毁: planned by one person, approved by another, carried out after a wait, certified."""
