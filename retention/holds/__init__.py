"""Holds 保全: what may not be destroyed, whatever its period says, until the matter is over."""
