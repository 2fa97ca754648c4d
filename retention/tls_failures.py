"""What a failed TLS handshake means, from the words of OpenSSL that client libraries pass on."""

from __future__ import annotations


def handshake_failure(words: str, *, authority: str, address: str) -> tuple[str, str]:
    """What the server did (to follow its name) and what to do, each without a full stop.

    Args:
        words: the library's message.
        authority: the setting that names the authorities' file, ``[search] ca_file`` say.
        address: the setting that names the server.
    """
    said = words.rpartition("verify failed: ")[2].partition(" (_ssl")[0]
    if "WRONG_VERSION_NUMBER" in words:
        return "does not speak TLS there", f"Correct {address}: http:// or another port"
    if "certificate has expired" in words or "not yet valid" in words:
        cure = "Let it, or that of the authority that signed it, be renewed, or set this machine's clock right"
        return f"shows a certificate that is not valid now: {said}", cure
    if "match" in words:
        return f"shows a certificate of another name: {said}", f"Name the server in {address} as its certificate does"
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return f"shows a certificate that is not trusted: {said}", f"Name its authority's certificate as {authority}"
    return f"broke off the TLS handshake: {said}", f"Check {address} and the server's TLS"
