"""Tree hashes and proofs against the recursive definitions of RFC 6962 and its known roots."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.transparency import merkle


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word by word."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + definition(leaves[:k]) + definition(leaves[k:]))


class Tree:
    def __init__(self) -> None:
        self.nodes: dict[merkle.NodeId, bytes] = {}
        self.size = 0

    def append(self, entries: list[bytes]) -> None:
        hashes = [merkle.leaf_hash(sha256, entry) for entry in entries]
        self.nodes |= merkle.extend(sha256, self.size, self.look_up(merkle.subtrees(0, self.size)), hashes)
        self.size += len(entries)

    def look_up(self, ids) -> list[bytes]:
        return [self.nodes[i] for i in ids]

    def root(self, size: int | None = None) -> bytes:
        return merkle.root(sha256, self.look_up(merkle.subtrees(0, self.size if size is None else size)))


@given(st.lists(st.lists(st.binary(max_size=3), max_size=9), max_size=9))
def test_appending_in_parts_gives_the_defined_root(parts: list[list[bytes]]) -> None:
    tree, entries = Tree(), []
    for part in parts:
        tree.append(part)
        entries += part
        assert tree.root() == definition(entries)


def test_known_roots() -> None:
    # Certificate Transparency's reference inputs (google/certificate-transparency, merkletree tests).
    inputs = [
        bytes.fromhex(x)
        for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    ]
    tree = Tree()
    tree.append(inputs)
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.integers(1, 40), st.data())
def test_inclusion_proofs_verify_and_nothing_else_does(size: int, data: st.DataObject) -> None:
    tree = Tree()
    tree.append([bytes([n]) for n in range(size)])
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(sha256, tree.look_up, index, size)
    leaf = tree.nodes[0, index]

    def verify(**changes: object) -> None:
        given_ = {"leaf": leaf, "index": index, "size": size, "proof": proof, "expected_root": tree.root()} | changes
        merkle.verify_inclusion(sha256, **given_)  # type: ignore[arg-type]

    verify()
    for wrong in (
        {"leaf": sha256(b"other")},
        {"expected_root": sha256(b"other")},
        {"proof": [*proof, leaf]},
        {"index": size},
        *([{"proof": proof[:-1]}, {"proof": [sha256(b"x"), *proof[1:]]}] if proof else []),
        *([{"index": (index + 1) % size}] if size > 1 else []),
    ):
        with pytest.raises(merkle.ProofError):
            verify(**wrong)


@given(st.integers(0, 40), st.integers(0, 40))
def test_consistency_proofs_verify_and_forks_do_not(old: int, more: int) -> None:
    tree, fork = Tree(), Tree()
    tree.append([bytes([n]) for n in range(old + more)])
    fork.append([bytes([n ^ 1]) for n in range(old + more)])
    new = old + more
    proof = merkle.consistency_proof(sha256, tree.look_up, old, new)
    known = {"old": old, "old_root": tree.root(old), "new": new, "new_root": tree.root(new), "proof": proof}
    merkle.verify_consistency(sha256, **known)
    if old:
        with pytest.raises(merkle.ProofError):
            merkle.verify_consistency(sha256, **(known | {"new_root": fork.root(new)}))
        with pytest.raises(merkle.ProofError):
            merkle.verify_consistency(sha256, **(known | {"old_root": fork.root(old)}))
    with pytest.raises(merkle.ProofError):
        merkle.verify_consistency(sha256, **(known | {"old": new + 1}))


def test_a_proof_outside_the_tree_is_wrong_use() -> None:
    with pytest.raises(ValueError, match="leaf 3"):
        merkle.inclusion_proof(sha256, lambda ids: [], 3, 3)
    with pytest.raises(ValueError, match="from 4"):
        merkle.consistency_proof(sha256, lambda ids: [], 4, 3)
