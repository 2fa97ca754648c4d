"""Merkle tree hashes and proofs in the shape of RFC 6962 section 2.1, over any hash function (SM3 or SHA-256).

A tree of ``size`` leaves is held as its complete subtrees: node (level, index) is the
root over leaves [index·2^level, (index+1)·2^level). Verification raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from errors import IntegrityError

Hash = Callable[[bytes], bytes]
NodeId = tuple[int, int]
"""(level, index)"""
Nodes = Callable[[Sequence[NodeId]], Sequence[bytes]]
"""Looks complete subtrees up."""

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"


class ProofError(IntegrityError):
    """An inclusion or consistency proof does not prove what it claims."""


def leaf_hash(hash_: Hash, entry: bytes) -> bytes:
    """MTH({d}) = HASH(0x00 || d)."""
    return hash_(LEAF_PREFIX + entry)


def node_hash(hash_: Hash, left: bytes, right: bytes) -> bytes:
    """HASH(0x01 || left || right)."""
    return hash_(NODE_PREFIX + left + right)


def subtrees(start: int, end: int) -> list[NodeId]:
    """Complete subtrees that cover leaves [start, end), left to right; ``start`` is 0 or a border of the cover."""
    found: list[NodeId] = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        found.append((level, start >> level))
        start += 1 << level
    return found


def extend(hash_: Hash, size: int, frontier: Sequence[bytes], leaves: Iterable[bytes]) -> dict[NodeId, bytes]:
    """Append leaf hashes to a tree and return every complete subtree that this makes, leaves included.

    ``frontier`` holds the hashes of ``subtrees(0, size)``.
    """
    pending = dict(zip(subtrees(0, size), frontier, strict=True))
    made: dict[NodeId, bytes] = {}
    for leaf in leaves:
        level, index, value = 0, size, leaf
        made[level, index] = value
        while index & 1:
            left = made.get((level, index - 1)) or pending[level, index - 1]
            level, index, value = level + 1, index >> 1, node_hash(hash_, left, value)
            made[level, index] = value
        size += 1
    return made


def roots_at(hash_: Hash, leaves: Iterable[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """Roots of the tree at the given sizes, from its leaf hashes in order, in one pass and logarithmic memory.

    A size past the last leaf is left out.
    """
    wanted = set(sizes)
    frontier: list[bytes] = []
    found = {0: root(hash_, [])} if 0 in wanted else {}
    for size, leaf in enumerate(leaves, 1):
        value, bits = leaf, size - 1
        while bits & 1:
            value = node_hash(hash_, frontier.pop(), value)
            bits >>= 1
        frontier.append(value)
        if size in wanted:
            found[size] = root(hash_, frontier)
    return found


def root(hash_: Hash, frontier: Sequence[bytes]) -> bytes:
    """Root of the tree whose ``subtrees(0, size)`` hash to ``frontier``; the hash of nothing for the empty tree."""
    if not frontier:
        return hash_(b"")
    value = frontier[-1]
    for left in reversed(frontier[:-1]):
        value = node_hash(hash_, left, value)
    return value


def range_root(hash_: Hash, nodes: Nodes, start: int, end: int) -> bytes:
    """Root over leaves [start, end) of a range that RFC 6962 splits off."""
    return root(hash_, nodes(subtrees(start, end)))


def inclusion_proof(hash_: Hash, nodes: Nodes, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]): siblings from the leaf up.

    Raises:
        ValueError: ``index`` is not below ``size``.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} of a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_root(hash_, nodes, middle, end))
            end = middle
        else:
            path.append(range_root(hash_, nodes, start, middle))
            start = middle
    return path[::-1]


def consistency_proof(hash_: Hash, nodes: Nodes, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]): that the first ``old`` leaves of both trees are the same.

    Raises:
        ValueError: not 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"from {old} to {new}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old - start != end - start:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_root(hash_, nodes, middle, end))
            end = middle
        else:
            path.append(range_root(hash_, nodes, start, middle))
            start, whole = middle, False
    if not whole:
        path.append(range_root(hash_, nodes, start, end))
    return path[::-1]


def verify_inclusion(
    hash_: Hash, *, leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Check that ``leaf`` (a leaf hash) stands at ``index`` of the tree with this size and root (RFC 9162 2.1.3.2).

    Raises:
        ProofError: it does not.
    """
    if not 0 <= index < size:
        raise _refused(f"leaf {index} lies outside a log of {size} entries")
    value, node, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            raise _refused(f"the inclusion proof of leaf {index} is too long")
        if node & 1 or node == last:
            value = node_hash(hash_, sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(hash_, value, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise _refused(f"the inclusion proof of leaf {index} is too short")
    if value != expected_root:
        raise _refused(f"leaf {index} is not in the log with that root")


def verify_consistency(
    hash_: Hash, *, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the log of ``new`` entries begins with the log of ``old`` (RFC 9162 2.1.4.2).

    Raises:
        ProofError: it does not: the log was forked or rolled back.
    """
    if old > new:
        raise _refused(f"the log has shrunk from {old} to {new} entries")
    if old in (0, new):
        if proof or (old == new and old_root != new_root) or (old == 0 and old_root != hash_(b"")):
            raise _refused(f"two logs of {old} entries differ")
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise _refused("the consistency proof is empty")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise _refused("the consistency proof is too long")
        if node & 1 or node == last:
            first, second = node_hash(hash_, sibling, first), node_hash(hash_, sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(hash_, second, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or first != old_root or second != new_root:
        raise _refused(f"the log of {new} entries does not continue the one of {old}")


def _split(size: int) -> int:
    """Largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _refused(what: str) -> ProofError:
    return ProofError(
        f"The transparency log's proof was refused: {what}.",
        cure="Keep the store as it is, compare the custodian's checkpoints, and find out who changed the log.",
    )
