"""A device behind the interface of GM/T 0018 (SDF), called by cffi: handles, buffers and error codes.

Only functions of the standard's 2012 edition are used, so that any approved device offers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from cffi import FFI

from retention.errors import KeyProviderError

SM4_ECB: Final = 0x00000401
SM4_CBC: Final = 0x00000402
SM4_MAC: Final = 0x00000410
BLOCK: Final = 16
KEY_BITS: Final = 128
_WRAPPED_ROOM: Final = 256
_DECLARATIONS: Final = """
typedef struct {
    unsigned char IssuerName[40];
    unsigned char DeviceName[16];
    unsigned char DeviceSerial[16];
    unsigned int DeviceVersion;
    unsigned int StandardVersion;
    unsigned int AsymAlgAbility[2];
    unsigned int SymAlgAbility;
    unsigned int HashAlgAbility;
    unsigned int BufferSize;
} DEVICEINFO;
typedef struct { unsigned int bits; unsigned char x[64]; unsigned char y[64]; } ECCrefPublicKey;
typedef struct { unsigned char r[64]; unsigned char s[64]; } ECCSignature;
int SDF_ExportSignPublicKey_ECC(void *, unsigned int, ECCrefPublicKey *);
int SDF_GetPrivateKeyAccessRight(void *, unsigned int, unsigned char *, unsigned int);
int SDF_ReleasePrivateKeyAccessRight(void *, unsigned int);
int SDF_InternalSign_ECC(void *, unsigned int, unsigned char *, unsigned int, ECCSignature *);
int SDF_OpenDevice(void **);
int SDF_CloseDevice(void *);
int SDF_OpenSession(void *, void **);
int SDF_CloseSession(void *);
int SDF_GetDeviceInfo(void *, DEVICEINFO *);
int SDF_GenerateRandom(void *, unsigned int, unsigned char *);
int SDF_GenerateKeyWithKEK(void *, unsigned int, unsigned int, unsigned int, unsigned char *, unsigned int *, void **);
int SDF_ImportKeyWithKEK(void *, unsigned int, unsigned int, unsigned char *, unsigned int, void **);
int SDF_DestroyKey(void *, void *);
int SDF_Encrypt(void *, void *, unsigned int, unsigned char *, unsigned char *, unsigned int, unsigned char *,
                unsigned int *);
int SDF_Decrypt(void *, void *, unsigned int, unsigned char *, unsigned char *, unsigned int, unsigned char *,
                unsigned int *);
int SDF_CalculateMAC(void *, void *, unsigned int, unsigned char *, unsigned char *, unsigned int, unsigned char *,
                     unsigned int *);
"""

CODES: Final = {
    0x01000001: ("SDR_UNKNOWERR", "unknown error"),
    0x01000002: ("SDR_NOTSUPPORT", "not supported by this device"),
    0x01000003: ("SDR_COMMFAIL", "communication with the device failed"),
    0x01000004: ("SDR_HARDFAIL", "the device does not answer"),
    0x01000005: ("SDR_OPENDEVICE", "the device could not be opened"),
    0x01000006: ("SDR_OPENSESSION", "no session could be opened"),
    0x01000007: ("SDR_PARDENY", "no right to use the private key"),
    0x01000008: ("SDR_KEYNOTEXIST", "there is no such key in the device"),
    0x01000009: ("SDR_ALGNOTSUPPORT", "the algorithm is not supported"),
    0x0100000A: ("SDR_ALGMODNOTSUPPORT", "the algorithm's mode is not supported"),
    0x0100000B: ("SDR_PKOPERR", "a public-key operation failed"),
    0x0100000C: ("SDR_SKOPERR", "a private-key operation failed"),
    0x0100000D: ("SDR_SIGNERR", "signing failed"),
    0x0100000E: ("SDR_VERIFYERR", "verification failed"),
    0x0100000F: ("SDR_SYMOPERR", "a symmetric operation failed"),
    0x01000010: ("SDR_STEPERR", "steps came in a wrong order"),
    0x01000011: ("SDR_FILESIZEERR", "a file's size is wrong"),
    0x01000012: ("SDR_FILENOEXIST", "a file is missing in the device"),
    0x01000013: ("SDR_FILEOFSERR", "a file's offset is wrong"),
    0x01000014: ("SDR_KEYTYPEERR", "the key is of another type"),
    0x01000015: ("SDR_KEYERR", "the key is wrong"),
    0x01000016: ("SDR_ENCDATAERR", "encrypted data is wrong"),
    0x01000017: ("SDR_RANDERR", "random numbers could not be made"),
    0x01000018: ("SDR_PRKRERR", "the right to the private key could not be had"),
    0x01000019: ("SDR_MACERR", "a MAC is wrong"),
    0x0100001A: ("SDR_FILEEXISTS", "a file exists already"),
    0x0100001B: ("SDR_FILEWERR", "a file could not be written"),
    0x0100001C: ("SDR_NOBUFFER", "too little memory"),
    0x0100001D: ("SDR_INARGERR", "an input is wrong"),
    0x0100001E: ("SDR_OUTARGERR", "an output is wrong"),
}
"""Error codes of GM/T 0018-2012, annex A."""

GONE: Final = frozenset(range(0x01000003, 0x01000007))
REFUSED: Final = frozenset({0x01000015, 0x01000016, 0x01000019, 0x0100001D})
"""What a device says of a wrapped key that was changed."""
PIN_REFUSED: Final = frozenset({0x01000007, 0x01000018})
"""What a device says of a wrong access code."""


class SdfError(KeyProviderError):
    """A function of the SDF library returned an error; ``code`` is the device's."""

    def __init__(self, what: str, *, cure: str, code: int) -> None:
        super().__init__(what, cure=cure)
        self.code = code


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What the device says of itself."""

    issuer: str
    name: str
    serial: str
    version: int


class SdfLibrary:
    """One open device. Every method opens a session of its own, so that threads do not share one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._ffi: Any = FFI()
        self._ffi.cdef(_DECLARATIONS)
        try:
            self._lib: Any = self._ffi.dlopen(path)
        except OSError as error:
            raise KeyProviderError(
                f"The SDF library {path} cannot be loaded: {error}.",
                cure="Install the device vendor's library for this machine, or correct [keys.sdf] library.",
            ) from error
        self._device = self._handle()
        self._call("SDF_OpenDevice", self._device)

    @contextmanager
    def session(self) -> Iterator[SdfSession]:
        """A session, closed at the end."""
        handle = self._handle()
        self._call("SDF_OpenSession", self._device[0], handle)
        try:
            yield SdfSession(self, handle[0])
        finally:
            # A device that is gone has closed it already; the error that matters is on its way.
            self._function("SDF_CloseSession")(handle[0])

    def close(self) -> None:
        """Close the device."""
        self._call("SDF_CloseDevice", self._device[0])

    def _handle(self) -> Any:
        return self._ffi.new("void **")

    def _function(self, name: str) -> Any:
        try:
            return getattr(self._lib, name)
        except AttributeError as error:
            raise KeyProviderError(
                f"The library {self._path} has no function {name}: it is no library of GM/T 0018.",
                cure="Correct [keys.sdf] library.",
            ) from error

    def _call(self, name: str, *arguments: Any) -> None:
        code = self._function(name)(*arguments) & 0xFFFFFFFF
        if code:
            word, meaning = CODES.get(code, ("a vendor's code", "see the vendor's manual"))
            raise SdfError(
                f"{name} returned 0x{code:08x} ({word}): {meaning}.",
                cure="Check that the device is connected and initialised, and its logs."
                if code in GONE
                else "Check [keys.sdf] kek_index and the device's set-up.",
                code=code,
            )


class SdfSession:
    """A session: session keys under a key-encryption key, and symmetric operations with them."""

    def __init__(self, library: SdfLibrary, handle: Any) -> None:
        self._library = library
        self._ffi = library._ffi
        self._session = handle

    def info(self) -> DeviceInfo:
        """What the device says of itself."""
        found = self._ffi.new("DEVICEINFO *")
        self._library._call("SDF_GetDeviceInfo", self._session, found)
        issuer, name, serial = (
            bytes(field).split(b"\x00")[0].decode("ascii", "replace").strip()
            for field in (found.IssuerName, found.DeviceName, found.DeviceSerial)
        )
        return DeviceInfo(issuer, name, serial, int(found.DeviceVersion))

    def random(self, length: int) -> bytes:
        """Random bytes of the device."""
        out = self._ffi.new("unsigned char[]", length)
        self._library._call("SDF_GenerateRandom", self._session, length, out)
        return bytes(self._ffi.buffer(out))

    @contextmanager
    def generated(self, kek_index: int) -> Iterator[tuple[Any, bytes]]:
        """A fresh session key: its handle, and it wrapped by the device's key-encryption key."""
        out, length = self._ffi.new("unsigned char[]", _WRAPPED_ROOM), self._ffi.new("unsigned int *", _WRAPPED_ROOM)
        handle = self._library._handle()
        self._library._call("SDF_GenerateKeyWithKEK", self._session, KEY_BITS, SM4_ECB, kek_index, out, length, handle)
        with self._destroyed(handle[0]):
            yield handle[0], self._taken(out, length, _WRAPPED_ROOM)

    @contextmanager
    def imported(self, kek_index: int, wrapped: bytes) -> Iterator[Any]:
        """The handle of a session key that ``generated`` made."""
        handle = self._library._handle()
        self._library._call(
            "SDF_ImportKeyWithKEK", self._session, SM4_ECB, kek_index, self._bytes(wrapped), len(wrapped), handle
        )
        with self._destroyed(handle[0]):
            yield handle[0]

    def encrypt(self, key: Any, iv: bytes, data: bytes) -> bytes:
        """SM4-CBC over whole blocks."""
        return self._symmetric("SDF_Encrypt", key, SM4_CBC, iv, data, len(data) + BLOCK)

    def decrypt(self, key: Any, iv: bytes, data: bytes) -> bytes:
        """The inverse of ``encrypt``."""
        return self._symmetric("SDF_Decrypt", key, SM4_CBC, iv, data, len(data) + BLOCK)

    def mac(self, key: Any, data: bytes) -> bytes:
        """SM4 CBC-MAC (16 bytes) over data of one fixed length."""
        return self._symmetric("SDF_CalculateMAC", key, SM4_MAC, bytes(BLOCK), data, BLOCK)

    def public_key(self, index: int) -> bytes:
        """The public half x || y of the device's SM2 signing key of this index."""
        found = self._ffi.new("ECCrefPublicKey *")
        self._library._call("SDF_ExportSignPublicKey_ECC", self._session, index, found)
        # Numbers stand at the right end of fields for curves of up to 512 bits.
        return bytes(self._ffi.buffer(found.x))[-32:] + bytes(self._ffi.buffer(found.y))[-32:]

    def sign(self, index: int, pin: str, digest: bytes) -> bytes:
        """Signature r || s of the device's SM2 signing key over a digest of 32 bytes."""
        word = pin.encode()
        self._library._call("SDF_GetPrivateKeyAccessRight", self._session, index, self._bytes(word), len(word))
        try:
            found = self._ffi.new("ECCSignature *")
            self._library._call("SDF_InternalSign_ECC", self._session, index, self._bytes(digest), len(digest), found)
        finally:
            self._library._function("SDF_ReleasePrivateKeyAccessRight")(self._session, index)
        return bytes(self._ffi.buffer(found.r))[-32:] + bytes(self._ffi.buffer(found.s))[-32:]

    def _symmetric(self, name: str, key: Any, algorithm: int, iv: bytes, data: bytes, room: int) -> bytes:
        out, length = self._ffi.new("unsigned char[]", room), self._ffi.new("unsigned int *", room)
        # Devices write the next vector over the one given: each call has its own copy.
        self._library._call(
            name, self._session, key, algorithm, self._bytes(iv), self._bytes(data), len(data), out, length
        )
        return self._taken(out, length, room)

    @contextmanager
    def _destroyed(self, key: Any) -> Iterator[None]:
        try:
            yield
        finally:
            self._library._function("SDF_DestroyKey")(self._session, key)

    def _bytes(self, data: bytes) -> Any:
        return self._ffi.new("unsigned char[]", data or b"\x00")

    def _taken(self, out: Any, length: Any, room: int) -> bytes:
        if not 0 < length[0] <= room:
            raise KeyProviderError(
                f"The SDF device returned {length[0]} bytes where at most {room} fit.",
                cure="This is a fault of the device's library: report it to its vendor.",
            )
        return bytes(self._ffi.buffer(out, length[0]))
