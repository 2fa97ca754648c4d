"""A bundle: a zip file of PDF, CSV, scope, proofs and digests, signed, readable without this program.

    README.txt              what this is and how to check it by hand
    scope.json              case, scope, approvers, expiry, when it was made and for whom (watermark)
    printed.pdf          case, scope and rows for reading, with a watermark
    data/<class>.csv        the rows, exactly the fields of the scope
    proofs/segments.json    the manifest of every segment that the rows come from, and its place in the log
    proofs/checkpoint.txt   the log's signed state
    proofs/keys.txt         the keys that signed it
    digests.json            SHA-256 and SM3 of every file above, and the rows of each CSV
    signature.txt           a signed note over the digests of digests.json

For a recipient the zip is sealed to an SM2 public key, or put into a second zip file under a password that common
programs open (``retention.disclosure.aes_zip``).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import secrets
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from errors import KeyAccessError, StorageError, UsageError
from retention.crypto import envelope, sm2
from retention.crypto.suites import suite
from retention.disclosure.aes_zip import check_password, is_aes_zip, open_zip, seal_zip
from retention.disclosure.errors import BundleRefusedError
from retention.errors import AuthenticationError
from retention.keys.passphrase import open_file
from retention.keys.sm2_envelope import key_id_of, open_with, seal_to
from retention.new_file import write_out
from retention.transparency.note import Signer, sign_note

README: Final = "README.txt"
SCOPE: Final = "scope.json"
PAPER: Final = "printed.pdf"
DIGESTS: Final = "digests.json"
SIGNATURE: Final = "signature.txt"
SEGMENTS: Final = "proofs/segments.json"
CHECKPOINT: Final = "proofs/checkpoint.txt"
KEYS: Final = "proofs/keys.txt"
DATA: Final = "data/"
FORMAT: Final = "liucun-disclosure"
MAX_FILES: Final = 64
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAX_BYTES: Final = 1 << 30
"""Bytes that the files of a bundle may have together when unpacked."""
SEALED: Final = b"LCDB\x01"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_STAMP: Final = (1980, 1, 1, 0, 0, 0)
_PURPOSE: Final = "disclosure"
_KEY_BYTES: Final = 32

README_TEXT: Final = """\
向主管部门提供数据 Disclosure to an authority

编号 number: {number}        案件 case: {case}        机关 authority: {authority}
仅供上述机关办理上述案件使用,不得另作他用。For this authority and this case only.

阅读 reading: printed.pdf;数据 data: data/*.csv

核验 how to check
  有本程序 with the program:  liucun verify FILE
  没有本程序 without it:
    1. 对 digests.json 列出的每个文件计算 SHA-256 与 SM3,与所列值比对;不得多出或缺少文件。
       Compute SHA-256 and SM3 of every file that digests.json lists; no file may be missing or left over.
    2. signature.txt 的正文含 digests.json 的摘要,由 proofs/keys.txt 中的密钥签名(C2SP signed-note;Ed25519 与 SM2)。
       signature.txt holds the digests of digests.json, signed by the keys in proofs/keys.txt.
    3. 每一行须在 scope.json 的范围之内。Every row lies within the scope.
    4. proofs/segments.json 按 RFC 6962 证明数据来自 proofs/checkpoint.txt 所签名的日志。
       It proves by RFC 6962 that the segments are in the log that the checkpoint signs.
  密钥应与第二保管人所存的密钥比对。Compare the keys with those that the second custodian holds.

单行的真实性以提供者的签名为凭;封存段的存在与完整由日志证明。
Single rows rest on the signature; that their segments exist unchanged is proved by the log.
"""


def digests_of(data: bytes) -> dict[str, str]:
    """SHA-256 and SM3 in hex."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "sm3": suite("SM4-GCM-SM3").hash(data).hex()}


def signed_text(disclosure_id: str, digests: bytes, *, kind: str = FORMAT) -> str:
    """What is signed: the digests of the list of digests."""
    found = digests_of(digests)
    return f"{kind}\n{disclosure_id}\n{found['sha256']}\n{found['sm3']}\n"


def pack(
    disclosure_id: str,
    files: Mapping[str, bytes],
    rows: Mapping[str, int],
    signers: Sequence[Signer],
    *,
    kind: str = FORMAT,
) -> bytes:
    """The zip file of a bundle, with its digests and signature; the same files give the same digests.

    ``kind``: what is signed, a disclosure or an inspector's audit report.
    """
    listed = {
        name: {**digests_of(data), "bytes": len(data), **({"rows": rows[name]} if name in rows else {})}
        for name, data in files.items()
    }
    digests = _json({"format": kind, "version": 1, "disclosure": disclosure_id, "files": listed})
    note = sign_note(signed_text(disclosure_id, digests, kind=kind), *signers)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted({**files, DIGESTS: digests, SIGNATURE: note.encode()}.items()):
            archive.writestr(zipfile.ZipInfo(name, _STAMP), data, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a bundle.

    Raises:
        BundleRefusedError: it is no zip file, or one with double names, paths, or more than a bundle can hold.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(set(names)) != len(names) or len(names) > MAX_FILES:
                raise refused("it holds files twice, or too many")
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise refused("it is larger than a bundle can be")
            if strange := [entry for entry in entries if entry.compress_type not in _PACKED]:
                # Other methods reserve what memory the file asks for, and fail in ways of their own.
                raise refused(f"{strange[0].filename[:80]} is packed in a way that bundles never are")
            found = {}
            for entry in entries:
                with archive.open(entry) as file:
                    body = file.read(entry.file_size + 1)
                if len(body) != entry.file_size:
                    raise refused(f"{entry.filename} is longer than it says")
                found[entry.filename] = body
            return found
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise refused(f"it is no bundle: {error}") from error


def extracted(data: bytes, folder: Path) -> None:
    """Write the files of an opened bundle below a new folder.

    Raises:
        BundleRefusedError: a name would lead out of the folder; nothing was written.
        StorageError: the folder is there already, or the disk refused.
    """
    files = unpack(data)
    for name in files:
        if not _NAME.fullmatch(name) or any(part in ("", ".", "..") for part in name.split("/")):
            raise refused(f"the name {name[:80]!r} is not allowed")
    try:
        folder.mkdir(mode=0o700)
        for name, body in files.items():
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_out(path, body)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror}.", cure="Check the path and the disk's free space."
        ) from error


def check_recipient(recipient: bytes | None, password: str | None) -> None:
    """See whether a bundle can be sealed so, before it is made and recorded.

    Raises:
        UsageError: neither or both, or the password is too weak for a zip file.
    """
    if (recipient is None) == (password is None):
        raise UsageError("A bundle is sealed for one recipient.", cure="Give a public key or a password, one of both.")
    if password is not None:
        check_password(password)


def seal(disclosure_id: str, bundle: bytes, *, recipient: bytes | None = None, password: str | None = None) -> bytes:
    """Seal a bundle to an SM2 public key, or as a zip file under a password (one of both).

    Raises:
        UsageError: see ``check_recipient``.
    """
    check_recipient(recipient, password)
    if recipient is None:
        return seal_zip(f"{disclosure_id}.zip", bundle, password or "")
    key = secrets.token_bytes(_KEY_BYTES)
    context = f"{FORMAT}:{disclosure_id}".encode()
    wrapped = _text(seal_to(recipient, key, purpose=_PURPOSE, context=context))
    body = _json({"disclosure": disclosure_id, "for": key_id_of(recipient), "key": wrapped})
    sealed = envelope.seal(suite(), key, bundle, purpose=_PURPOSE, context=context)
    return SEALED + len(body).to_bytes(4, "big") + body + sealed


def unseal(data: bytes, *, password: str | None = None, pair: sm2.Sm2KeyPair | None = None) -> bytes:
    """The bundle inside; a file that is not sealed is returned as it is.

    Raises:
        KeyAccessError: no or another password or key.
        BundleRefusedError: it was changed.
    """
    if is_aes_zip(data):
        if not password:
            raise KeyAccessError("The bundle is under a password.", cure="Give it with --password-file.")
        return open_zip(data, password, most=MAX_BYTES)
    if not data.startswith(SEALED):
        return data
    try:
        length = int.from_bytes(data[5:9], "big")
        head = json.loads(data[9 : 9 + length])
        wrapped = base64.b64decode(head["key"], validate=True)
        context = f"{FORMAT}:{head['disclosure']}".encode()
        kind = head["for"]
    except (ValueError, KeyError, TypeError) as error:
        raise refused("its head is damaged") from error
    if kind == "password":
        if not password:
            raise KeyAccessError("The bundle is under a password.", cure="Give it with --password-file.")
        _, key = open_file(FORMAT, wrapped, password, where="the bundle")
    else:
        if pair is None:
            raise KeyAccessError(f"The bundle is sealed to the key {kind}.", cure="Give it with --private-key.")
        key = open_with(pair, wrapped, purpose=_PURPOSE, context=context)
    try:
        return envelope.open_(suite(), key, data[9 + length :], purpose=_PURPOSE, context=context)
    except AuthenticationError as error:
        raise refused("what it holds was changed") from error


def refused(what: str) -> BundleRefusedError:
    """The error for a bundle that does not hold."""
    return BundleRefusedError(
        f"The bundle was refused 核验不通过: {what}.", cure="Do not rely on it; ask who made it for another copy."
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
