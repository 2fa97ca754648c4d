"""Audits: proofs that the archive is complete and unchanged, each a list of what was checked and what was found."""
