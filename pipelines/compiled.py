"""Loops over bytes, compiled to machine code on first use and cached on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., object])


@cache
def _sources() -> str:
    """Digest of all files that hold loops or the constants compiled into them."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in [here / "compiled.py", here / "framing.py", *sorted((here / "decode").glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def kernel(function: F) -> F:
    """Compile a function over NumPy arrays; it releases the interpreter lock while it runs.

    The machine code is cached beside the file, or in the user's cache folder. Where neither can be written (a
    read-only container without a home), it is compiled anew in each process.
    """
    try:
        # numba's cache looks at the function's own file only, but what it compiles takes in constants and loops of
        # others; the name of the cache file comes from this name.
        function.__qualname__ = f"{function.__qualname__}-{_sources()}"
        return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except (OSError, RuntimeError):  # no readable source, or numba's "no locator available": nowhere to cache
        return cast("F", numba.njit(nogil=True, error_model="numpy")(function))


@kernel
def wide(value: int | np.uint64) -> int:
    """A byte or 32-bit position as a signed 64-bit integer: unsigned and signed ones must not meet in a sum."""
    return np.int64(value)  # type: ignore[return-value] # ``int()`` would stay unsigned when compiled


@intrinsic
def _memcpy(_typing: Any, out: Any, to: Any, buffer: Any, start: Any, size: Any) -> Any:  # noqa: ARG001
    """The machine's own copy: ten times a loop over bytes, which the compiler does not recognise as one."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = context.make_array(signature.args[0])(context, builder, args[0])
        source = context.make_array(signature.args[2])(context, builder, args[2])
        target_at = builder.gep(target.data, [args[1]])
        source_at = builder.gep(source.data, [args[3]])
        cgutils.raw_memcpy(builder, target_at, source_at, args[4], 1)  # type: ignore[no-untyped-call] # numba's
        return context.get_dummy_value()

    return types.void(out, types.int64, buffer, types.int64, types.int64), generate


@kernel
def copy_bytes(out: NDArray[np.uint8], to: int, buffer: NDArray[np.uint8], start: int, size: int) -> None:
    """Copy ``size`` bytes of ``buffer`` from ``start`` to ``out`` at ``to``; the two must not overlap."""
    _memcpy(out, to, buffer, start, size)  # type: ignore[call-arg] # the compiler gives the first
