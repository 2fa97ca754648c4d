"""Keys wrapped by Tencent Cloud KMS, by its official SDK. The customer master key never leaves the service.

Credentials come from TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and, for temporary ones,
TENCENTCLOUD_SESSION_TOKEN. The caller's context enters KMS's EncryptionContext as a digest.
"""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any, Final
from urllib.parse import urlsplit

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.kms.v20190118 import models
from tencentcloud.kms.v20190118.kms_client import KmsClient

from retention.crypto.suites import suite
from retention.errors import KeyProviderError, KeyRefusedError
from retention.keys.provider import UNCERTIFIED, ProviderDescription
from retention.keys.settings import TencentKmsSettings
from retention.keys.wrapped import Wrapped

KIND: Final = "tencent_kms"
SECRET_ID: Final = "TENCENTCLOUD_SECRET_ID"
SECRET_KEY: Final = "TENCENTCLOUD_SECRET_KEY"
SESSION_TOKEN: Final = "TENCENTCLOUD_SESSION_TOKEN"
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.3
_CIPHERTEXT_REFUSED: Final = ("InvalidParameterValue.InvalidCiphertext", "FailedOperation.DecryptError")
_WORDS: Final = {
    "AuthFailure": ("refuses the credentials", f"Check {SECRET_ID} and {SECRET_KEY}, and this machine's clock."),
    "UnauthorizedOperation": ("does not permit this account to use the key", "Grant it kms:Encrypt and kms:Decrypt."),
    "ResourceUnavailable": ("says that the key is disabled, archived or gone", "Enable the key in the KMS console."),
    "ResourceNotFound": ("does not know the key", "Correct [keys.tencent_kms] key_id and region."),
    "RequestLimitExceeded": ("has too many requests", "Try again."),
    "LimitExceeded": ("has too many requests", "Try again."),
    "ClientNetworkError": ("cannot be reached", "Check the network and [keys.tencent_kms] endpoint."),
    "ServerNetworkError": ("does not answer properly", "Check [keys.tencent_kms] endpoint, then try again."),
    "InternalError": ("failed", "Try again; the service's status page tells of outages."),
}
_PASSING: Final = frozenset({"RequestLimitExceeded", "LimitExceeded", "InternalError"})


class TencentKms:
    """A ``KeyProvider``. The key is made in the KMS console, and rotated there."""

    def __init__(self, settings: TencentKmsSettings, client: KmsClient) -> None:
        self.certification = UNCERTIFIED
        self._settings = settings
        self._client = client

    def __repr__(self) -> str:
        return f"<TencentKms {self._settings.region} {self._settings.key_id}>"

    @classmethod
    def open(cls, settings: TencentKmsSettings) -> TencentKms:
        """Check that the service wraps and unwraps with this key.

        Raises:
            KeyProviderError: there are no credentials, or the service cannot be reached or refuses.
        """
        secret_id, secret_key = os.environ.get(SECRET_ID), os.environ.get(SECRET_KEY)
        if not secret_id or not secret_key:
            raise KeyProviderError(
                "There are no credentials for Tencent Cloud KMS.", cure=f"Set {SECRET_ID} and {SECRET_KEY}."
            )
        address = urlsplit(settings.endpoint)
        profile = ClientProfile(
            signMethod="TC3-HMAC-SHA256",
            httpProfile=HttpProfile(
                protocol=address.scheme, endpoint=address.netloc, reqTimeout=settings.timeout_seconds
            ),
        )
        token = os.environ.get(SESSION_TOKEN) or None
        opened = cls(settings, KmsClient(Credential(secret_id, secret_key, token), settings.region, profile))
        opened.unwrap(opened.wrap(bytes(16), b"probe"), b"probe")
        return opened

    @property
    def description(self) -> ProviderDescription:
        """See ``KeyProvider``."""
        return ProviderDescription(
            kind=KIND,
            certification=self.certification,
            key_id=self._settings.key_id,
            detail=f"Tencent Cloud KMS, {self._settings.region}, {urlsplit(self._settings.endpoint).netloc}",
        )

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        request = models.EncryptRequest()
        request.KeyId = self._settings.key_id
        request.Plaintext = base64.b64encode(key).decode("ascii")
        request.EncryptionContext = _bound(context)
        answer = self._ask(self._client.Encrypt, request)
        return Wrapped(KIND, self._settings.key_id, self._taken(answer.CiphertextBlob).encode()).to_bytes()

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        wrapped = Wrapped.from_bytes(blob, kind=KIND)
        request = models.DecryptRequest()
        request.CiphertextBlob = wrapped.sealed.decode("ascii", "replace")
        request.EncryptionContext = _bound(context)
        answer = self._ask(self._client.Decrypt, request)
        if answer.KeyId != wrapped.key_id:
            raise KeyRefusedError(
                f"A key was wrapped by {answer.KeyId!r}, and says that {wrapped.key_id!r} wrapped it.",
                cure="Restore the store of period keys from its newest backup.",
            )
        try:
            return base64.b64decode(self._taken(answer.Plaintext), validate=True)
        except ValueError as error:
            raise self._nonsense() from error

    def _ask(self, call: Any, request: Any) -> Any:
        for left in reversed(range(_TRIES)):
            try:
                return call(request)
            except TencentCloudSDKException as error:
                code = str(error.get_code())
                if left and code.partition(".")[0] in _PASSING:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                raise self._failed(code, error) from error
        raise AssertionError("unreachable")

    def _failed(self, code: str, error: TencentCloudSDKException) -> KeyProviderError | KeyRefusedError:
        if code in _CIPHERTEXT_REFUSED:
            return KeyRefusedError(
                f"Tencent Cloud KMS does not open a wrapped key ({code}): it was changed, or belongs elsewhere.",
                cure="Use the key that belongs to this store, or restore the store of period keys from its backup.",
            )
        what, cure = _WORDS.get(
            code.partition(".")[0], ("answers with an error", "See the code in Tencent Cloud's manual.")
        )
        said = str(error.get_message())[:200]
        return KeyProviderError(f"Tencent Cloud KMS {what} ({code}: {said}).", cure=cure)

    def _taken(self, value: object) -> str:
        if not isinstance(value, str) or not value or not value.isascii() or len(value) > 3000:
            raise self._nonsense()
        return value

    def _nonsense(self) -> KeyProviderError:
        return KeyProviderError(
            "Tencent Cloud KMS gave an answer without the value that was asked for.",
            cure="Check [keys.tencent_kms] endpoint.",
        )


def _bound(context: bytes) -> str:
    return json.dumps({"liucun": suite("AES-256-GCM-SHA256").hash(context).hex()})
