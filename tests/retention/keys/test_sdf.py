"""The GM/T 0018 provider against a stand-in library that is compiled here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cffi import FFI

from errors import KeyAccessError
from retention.crypto import sm2
from retention.errors import KeyProviderError, KeyRefusedError, WrongPassphraseError
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.keys.sdf import SdfDevice
from retention.keys.sdf_library import CODES, SdfError
from retention.keys.settings import SdfSettings
from retention.keys.signing import load_signers, load_verifiers
from retention.transparency.note import open_note, sign_note
from retention.transparency.sm2_note import Sm2Verifier
from tests.retention.samples import CHEAP

KEY, CONTEXT = bytes(range(32)), b"context"
SOURCE = Path(__file__).parent / "standin" / "sdf.c"
PUBLIC = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SECRET = "00112233445566778899aabbccddeeff"


def never() -> str:
    raise AssertionError("an access code was asked for where no key needs it")


def code() -> str:
    return "device code"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler for the stand-in device")
    out = tmp_path_factory.mktemp("sdf") / "libsdf.so"
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-O1",
        "-o",
        str(out),
        str(SOURCE),
        "-l:libgcrypt.so.20",
        "-l:libcrypto.so.3",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return str(out)


@pytest.fixture
def settings(library: str, monkeypatch: pytest.MonkeyPatch) -> SdfSettings:
    monkeypatch.setenv("SDF_TEST_SECRET", SECRET)
    monkeypatch.delenv("SDF_TEST_FAIL", raising=False)
    return SdfSettings(library=library, kek_index=1)


def test_a_key_comes_back_from_a_device_opened_anew(settings: SdfSettings) -> None:
    first = SdfDevice.open(settings, code)
    blobs = {length: first.wrap(KEY[:length] * 2, CONTEXT) for length in (8, 16, 20, 32)}
    first.close()
    second = SdfDevice.open(settings, code)
    for length, blob in blobs.items():
        assert KEY[:8] not in blob
        assert second.unwrap(blob, CONTEXT) == KEY[:length] * 2
    assert second.description.key_id == "kek-1"
    assert "SDF-TEST" in second.description.detail


def test_every_changed_byte_and_another_context_are_refused(settings: SdfSettings) -> None:
    device = SdfDevice.open(settings, code)
    blob = device.wrap(KEY, CONTEXT)
    for index in range(len(blob)):
        for bit in (1, 0x80):
            changed = blob[:index] + bytes([blob[index] ^ bit]) + blob[index + 1 :]
            with pytest.raises((KeyRefusedError, SdfError)) as caught:
                device.unwrap(changed, CONTEXT)
            assert caught.value.exit_code == 4
    for cut in range(len(blob)):
        with pytest.raises(KeyRefusedError):
            device.unwrap(blob[:cut], CONTEXT)
    with pytest.raises(KeyRefusedError):
        device.unwrap(blob, b"elsewhere")


def test_no_session_key_and_no_session_is_left_in_the_device(settings: SdfSettings, library: str) -> None:
    ffi = FFI()
    ffi.cdef("int TEST_alive(void);")
    counter = ffi.dlopen(library)
    device = SdfDevice.open(settings, code)
    blob = device.wrap(KEY, CONTEXT)
    device.unwrap(blob, CONTEXT)
    with pytest.raises(KeyRefusedError):
        device.unwrap(blob, b"elsewhere")
    assert counter.TEST_alive() == 0


def test_another_device_opens_nothing(settings: SdfSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = SdfDevice.open(settings, code).wrap(KEY, CONTEXT)
    monkeypatch.setenv("SDF_TEST_SECRET", SECRET[::-1])
    with pytest.raises(KeyRefusedError):
        SdfDevice.open(settings, code).unwrap(blob, CONTEXT)


def test_another_index_wraps_and_still_opens_what_the_first_wrapped(settings: SdfSettings) -> None:
    blob = SdfDevice.open(settings, code).wrap(KEY, CONTEXT)
    rotated = SdfDevice.open(settings.model_copy(update={"kek_index": 2}), code)
    assert rotated.description.key_id == "kek-2"
    assert rotated.unwrap(blob, CONTEXT) == KEY


@pytest.mark.parametrize("code", [*CODES, 0x0100FFFF, 0x02000001])
@pytest.mark.parametrize("function", ["SDF_OpenDevice", "SDF_OpenSession", "SDF_GenerateKeyWithKEK", "SDF_Encrypt"])
def test_every_code_is_a_typed_error(
    settings: SdfSettings, monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    monkeypatch.setenv("SDF_TEST_FAIL", f"{function}={code:08x}")
    with pytest.raises(KeyProviderError, match=f"{function} returned 0x{code:08x}") as caught:
        SdfDevice.open(settings, code)
    assert caught.value.exit_code == 4
    assert caught.value.cure


@pytest.mark.parametrize("function", ["SDF_ImportKeyWithKEK", "SDF_Decrypt", "SDF_CalculateMAC"])
def test_a_device_that_goes_away_between_two_calls(
    settings: SdfSettings, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    device = SdfDevice.open(settings, code)
    blob = device.wrap(KEY, CONTEXT)
    monkeypatch.setenv("SDF_TEST_FAIL", f"{function}=01000003")
    with pytest.raises(SdfError, match="SDR_COMMFAIL"):
        device.unwrap(blob, CONTEXT)
    monkeypatch.delenv("SDF_TEST_FAIL")
    assert device.unwrap(blob, CONTEXT) == KEY


def test_a_key_index_that_is_not_there(settings: SdfSettings) -> None:
    with pytest.raises(SdfError, match="SDR_KEYNOTEXIST"):
        SdfDevice.open(settings.model_copy(update={"kek_index": 9}), code)


def test_a_library_that_claims_too_much_room(settings: SdfSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDF_TEST_FAIL", "TEST_TooLong=1")
    with pytest.raises(KeyProviderError, match="4096 bytes"):
        SdfDevice.open(settings, code)


def test_no_library_and_one_of_something_else(settings: SdfSettings, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library")
    for path in (tmp_path / "none.so", tmp_path / "text.so"):
        with pytest.raises(KeyProviderError, match="cannot be loaded"):
            SdfDevice.open(settings.model_copy(update={"library": str(path)}), code)
    with pytest.raises(KeyProviderError, match="no library of GM/T 0018"):
        SdfDevice.open(settings.model_copy(update={"library": "libgcrypt.so.20"}), code)


def test_a_store_moves_to_the_device(settings: SdfSettings, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'periods.db'}"
    keys = PeriodKeys.open(url, KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP), create=True)
    key = keys.current("content", "2026-10")
    keys.rewrap(SdfDevice.open(settings, code))
    keys.close()
    reopened = PeriodKeys.open(url, SdfDevice.open(settings, code))
    assert reopened.get(key.key_id).key == key.key
    reopened.close()


@pytest.fixture
def signing(settings: SdfSettings) -> SdfSettings:
    return settings.model_copy(update={"sign_index": 1})


def test_the_device_signs_the_log(signing: SdfSettings, tmp_path: Path) -> None:
    device = SdfDevice.open(signing, code)
    assert device.log_public == PUBLIC
    keys = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", device, create=True)
    signers = load_signers(keys)
    assert [s.verifier.encode() for s in load_signers(keys)] == [s.verifier.encode() for s in signers]
    note = sign_note("liucun/x\n1\n", *signers)
    assert open_note(note, [Sm2Verifier(signers[0].verifier.name, PUBLIC)]) == "liucun/x\n1\n"
    assert open_note(note, load_verifiers(keys)) == "liucun/x\n1\n"
    assert keys.rewrap(device) == 2
    assert open_note(sign_note("liucun/x\n2\n", *load_signers(keys)), load_verifiers(keys))
    keys.close()


def test_a_device_that_comes_or_goes_begins_new_signing_keys(
    settings: SdfSettings, signing: SdfSettings, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'periods.db'}"
    keys = PeriodKeys.open(url, SdfDevice.open(settings, never), create=True)
    software = load_signers(keys)
    assert PUBLIC not in [v.public for v in load_verifiers(keys)]
    keys.use(SdfDevice.open(signing, code))
    with_device = load_signers(keys)
    assert PUBLIC in [s.verifier.public for s in with_device]
    keys.use(SdfDevice.open(settings, never))
    without = load_signers(keys)
    assert PUBLIC not in [s.verifier.public for s in without]
    assert {s.verifier.name for s in (*software, *with_device, *without)} == {software[0].verifier.name}
    assert len(load_verifiers(keys)) == 6
    for signers in (software, without):
        assert open_note(sign_note("a\n", *signers), load_verifiers(keys)) == "a\n"
    keys.close()


def test_a_wrong_access_code(signing: SdfSettings) -> None:
    for wrong in ("", "device codes", "口令"):
        with pytest.raises(WrongPassphraseError) as caught:
            SdfDevice.open(signing, lambda wrong=wrong: wrong)
        assert caught.value.exit_code == 4


def test_a_signing_key_that_is_not_there_or_another_than_shown(
    signing: SdfSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SdfError, match="SDR_KEYNOTEXIST"):
        SdfDevice.open(signing.model_copy(update={"sign_index": 2}), code)
    monkeypatch.setenv("SDF_TEST_FAIL", "SDF_InternalSign_ECC=0100000d")
    with pytest.raises(SdfError, match="SDR_SIGNERR"):
        SdfDevice.open(signing, code)
    monkeypatch.setenv("SDF_TEST_FAIL", "TEST_OtherKey=1")
    with pytest.raises(KeyAccessError):
        SdfDevice.open(signing, code)


def test_the_digest_that_a_device_signs() -> None:
    """GB/T 32918.5, appendix A: e of the message."""
    assert sm2.message_digest(PUBLIC, b"message digest").hex() == (
        "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"
    )
