"""Disclosure to an authority (licence clause 10): two approvers, an export with proofs, verified offline."""
