"""A model on disk: a folder with ``model.npz`` (tables) and ``model.json`` (what it is).

``model.json`` names format, labels, thresholds, calibration, what the model was
trained on and measured at, and the digest of the tables. The folder is read whole
and checked before anything is scored. The same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.model.errors import ModelFileError, ModelWriteError
from detectors.model.features import STEPS
from detectors.model.linear import BLOCK, LinearModel
from detectors.model.tables import ViewTables

FORMAT: Final = 2
READABLE: Final = (1, FORMAT)
"""Format 1 had no prior."""
MAX_BITS: Final = 22
MAX_PRIOR: Final = 1_000_000
MAX_BYTES: Final = 256 << 20
MAX_UNPACKED: Final = 1 << 30
_DAMAGED: Final = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, EOFError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_CURE: Final = "Train it again with `liucun model train`, or name another folder."


def save(model: LinearModel, folder: Path) -> None:
    """Write a model and set its ``version``.

    Raises:
        ModelWriteError: the folder cannot be written.
    """
    # A bucket never seen has the largest idf and no weight: it need not be stored.
    used = np.flatnonzero(model.weights[:, 1:].any(axis=1) | (model.weights[:, 0] != STEPS))
    body = _npz(
        {
            "bucket": used.astype(np.uint32),
            # By column, not by row: like stands beside like and compresses better.
            "weight": np.ascontiguousarray(model.weights[used, : 1 + len(model.labels)].T),
            **model.tables.arrays(),
        }
    )
    meta = {
        "format": FORMAT,
        "tables_sha256": hashlib.sha256(body).hexdigest(),
        "labels": model.labels,
        "none_label": model.none_label,
        "bits": model.bits,
        "pinyin": model.pinyin,
        "scale": model.scale.tolist(),
        "bias": model.bias.tolist(),
        "idf_step": model.idf_step,
        "calibration": model.calibration.tolist(),
        "thresholds": model.thresholds,
        "gate": model.gate,
        "apart": list(model.apart),
        "prior": model.prior,
        "info": model.info,
    }
    text = json.dumps(meta, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / "model.npz", body)
        replace_file(folder / "model.json", text.encode())
    except OSError as error:
        what = f"The model cannot be written to {folder}: {error}."
        raise ModelWriteError(what, cure="Name another folder.") from error
    model.version = _version(text)


def load(folder: Path) -> LinearModel:
    """Read and check a model's folder.

    Raises:
        ModelFileError: a file is missing, damaged, of another format, or the two do not belong together.
    """
    try:
        size = (folder / "model.npz").stat().st_size
        if size > MAX_BYTES:
            raise ModelFileError(f"The model in {folder} has {size:,} bytes, over {MAX_BYTES:,}.", cure=_CURE)
        text = (folder / "model.json").read_text(encoding="utf-8")
        body = (folder / "model.npz").read_bytes()
        meta = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"The model in {folder} cannot be read: {error}.", cure=_CURE) from error
    if not isinstance(meta, dict) or meta.get("format") not in READABLE:
        raise ModelFileError(f"The model in {folder} is not of format {FORMAT}.", cure=_CURE)
    if hashlib.sha256(body).hexdigest() != meta.get("tables_sha256"):
        raise ModelFileError(f"The tables of the model in {folder} are not those its description names.", cure=_CURE)
    try:
        return _build(meta, body, text)
    except _DAMAGED as error:
        raise ModelFileError(f"The model in {folder} is damaged: {error!r}.", cure=_CURE) from error


def _build(meta: dict[str, Any], body: bytes, text: str) -> LinearModel:
    labels = [str(label) for label in meta["labels"]]
    bits, n = int(meta["bits"]), len(labels)
    none_label = meta["none_label"]
    if not 1 <= bits <= MAX_BITS or not 2 <= n <= 1000 or (none_label is not None and none_label not in labels):
        raise ValueError("labels or size out of range")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
            raise ValueError(f"tables of over {MAX_UNPACKED >> 20} MiB")
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    weight, bucket = arrays.pop("weight"), arrays.pop("bucket")
    if weight.shape != (1 + n, len(bucket)) or weight.dtype != np.int8:
        raise ValueError("weights do not fit the labels")
    weights = np.zeros((1 << bits, -(-(1 + n) // BLOCK) * BLOCK), np.int8)
    weights[:, 0] = STEPS
    weights[bucket, : 1 + n] = weight.T
    model = LinearModel(
        labels=labels,
        none_label=none_label,
        bits=bits,
        pinyin=bool(meta["pinyin"]),
        weights=weights,
        scale=np.array(meta["scale"], np.float64),
        bias=np.array(meta["bias"], np.float64),
        idf_step=float(meta["idf_step"]),
        calibration=np.array(meta["calibration"], np.float64),
        thresholds={str(k): float(v) for k, v in meta["thresholds"].items()},
        tables=ViewTables.of_arrays(arrays),
        gate=None if meta["gate"] is None else float(meta["gate"]),
        apart=tuple(str(label) for label in meta.get("apart", ())),
        prior=0 if meta["format"] == 1 else int(meta["prior"]),
        info=dict(meta["info"]),
        version=_version(text),
    )
    if model.calibration.shape != (n + 1, n) or model.scale.shape != (n,) or model.bias.shape != (n,):
        raise ValueError("coefficients do not fit the labels")
    single = np.array([model.gate or 0.0, model.idf_step, *model.thresholds.values()])
    if not all(np.isfinite(found).all() for found in (model.calibration, model.scale, model.bias, single)):
        # No text would reach them: a model that finds nothing looks like a stream without findings.
        raise ValueError("numbers that are none")
    if not model.thresholds.keys() <= set(labels):
        raise ValueError("thresholds of labels that it has not")
    if not set(model.apart) <= set(labels) - {none_label}:
        raise ValueError("labels apart that are none")
    if not 0 <= model.prior <= MAX_PRIOR or not model.idf_step > 0:
        raise ValueError("prior or step out of range")
    if model.gate is not None and none_label is None:
        raise ValueError("a gate without a none label")
    return model


def _version(text: str) -> str:
    return f"linear-{FORMAT}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def replace_file(path: Path, body: bytes) -> None:
    """Write a file in one step: readers see the old content or the new."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _npz(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    """Like ``np.savez_compressed``, with a fixed time in the entries so that the bytes repeat."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, arrays[name], allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entry.getvalue(), compresslevel=9)
    return out.getvalue()
