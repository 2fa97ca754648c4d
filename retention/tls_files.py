"""PEM files for TLS, looked at before a client library takes them: what is wrong with one is said in full.

The libraries themselves say little: that no broker is there, or a word of OpenSSL's. Contents never get into a message.
"""

from __future__ import annotations

import contextlib
import ssl
import stat
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning

from errors import SettingsError

_MOST_BYTES: Final = 4 << 20
"""Twenty times the bundle of a usual system."""


def check_authorities(path: str, setting: str) -> None:
    """Look at a file of authorities' certificates; ``setting`` is how messages name it, ``[search] ca_file`` say.

    Raises:
        SettingsError: it cannot be read, holds no certificate, or none that is still valid.
    """
    data = _read(path, setting)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:  # SSLError is one
        raise _unusable(path, setting, "holds no certificate in PEM") from error
    # OpenSSL takes files that this reader finds too odd (it warns of old authorities' serial numbers); their dates are
    # then left to it.
    with contextlib.suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        certificates = x509.load_pem_x509_certificates(data)
        _in_time(max(certificates, key=lambda found: found.not_valid_after_utc), path, setting)


def check_identity(certificate_file: str, key_file: str, password: str | None, section: str) -> None:
    """Look at a client's own certificate (first in its file, its chain after it) and key.

    Args:
        password: opens the key; None where it lies there open.
        section: where the settings stand, ``[source.kafka]`` say.

    Raises:
        SettingsError: a file cannot be read or used, the password does not open the key, the key is another
            certificate's, or the certificate is not valid now.
    """
    certificate_setting, key_setting = f"{section} certificate_file", f"{section} key_file"
    try:
        own = x509.load_pem_x509_certificates(_read(certificate_file, certificate_setting))[0]
        public = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(certificate_file, certificate_setting, "holds no certificate in PEM") from error
    _in_time(own, certificate_file, certificate_setting)
    if _public_of(key_file, key_setting, password) != public:
        raise SettingsError(
            f"{key_setting}: the key in {key_file} does not belong to the certificate in {certificate_file}.",
            cure="Name the key that the certificate was made for; a chain has the client's own certificate first.",
        )


def _public_of(path: str, setting: str, password: str | None) -> bytes:
    """The public half of a private key."""
    data = _read(path, setting)
    try:
        key = load_pem_private_key(data, None if password is None else password.encode())
    except TypeError as error:  # one of key and password is there without the other
        if password is None:
            raise SettingsError(
                f"{setting}: {path} is sealed with a password, and none is given.",
                cure="Name where its password is: key_password_file, or an environment variable.",
            ) from error
        raise SettingsError(
            f"{setting}: a password is given, and {path} is not sealed with one.",
            cure="Take the setting of the key's password out, or seal the key.",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        what = "holds no private key in PEM" + ("" if password is None else ", or the password does not open it")
        raise _unusable(path, setting, what) from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _in_time(certificate: x509.Certificate, path: str, setting: str) -> None:
    now = datetime.now(UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end < now:
        raise SettingsError(
            f"{setting}: the certificate in {path} expired on {end:%Y-%m-%d %H:%M} UTC.",
            cure="Put a renewed one in its place, or set this machine's clock right.",
        )
    if begin > now:
        raise SettingsError(
            f"{setting}: the certificate in {path} is not valid before {begin:%Y-%m-%d %H:%M} UTC.",
            cure="Set this machine's clock right, or wait until then.",
        )


def _read(path: str, setting: str) -> bytes:
    try:
        found = Path(path).stat()
        # A pipe or a device would be waited for, or read, without end.
        if not stat.S_ISREG(found.st_mode):
            raise _unusable(path, setting, "is not a file")
        if found.st_size > _MOST_BYTES:
            raise _unusable(path, setting, f"is larger than {_MOST_BYTES >> 20} MiB: not a file of certificates")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SettingsError(f"{setting}: {path!r} cannot be read: {reason}.", cure="Check path and rights.") from error


def _unusable(path: str, setting: str, what: str) -> SettingsError:
    return SettingsError(f"{setting}: {path} {what}.", cure="Name a PEM file (text that begins with -----BEGIN).")
