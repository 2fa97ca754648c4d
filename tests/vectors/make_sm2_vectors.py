"""Writes ``sm2-v1.json``: what SM2 signs and wraps in Liucun's forms, for other implementations to check.

SM2 draws random numbers, so each run gives other signatures and ciphertexts; the committed file is the one that counts.
Run: ``python -m tests.vectors.make_sm2_vectors``.
"""

from __future__ import annotations

import json
from pathlib import Path

from retention.crypto.sm2 import Sm2KeyPair
from retention.keys.contexts import period_context
from retention.keys.settings import Sm2Settings
from retention.keys.sm2_envelope import Sm2Envelope, key_id_of
from retention.transparency.note import Checkpoint, sign_note
from retention.transparency.sm2_note import Sm2Signer

FILE = Path(__file__).parent / "sm2-v1.json"
OFFICIAL = json.loads((Path(__file__).parent / "official" / "sm2.json").read_text())
PAIR = Sm2KeyPair(bytes.fromhex(OFFICIAL["public_key"]), bytes.fromhex(OFFICIAL["private_key"]))


def main() -> None:
    """Write the file."""
    signer = Sm2Signer("liucun/0123456789abcdef", PAIR)
    checkpoint = Checkpoint(signer.name, 42, bytes(range(32)), ("time 2026-11-24T00:00:00.000000Z",))
    key, place = bytes(range(32)), ("content-2026-10-00112233aabb", "content", "2026-10")
    context = period_context(*place)
    holder = Sm2Envelope(Path(), Sm2Settings(), PAIR.public, {key_id_of(PAIR.public): PAIR})
    vectors = {
        "source": "docs/keys.md, Forms; the key pair is that of GB/T 32918.5-2017, appendix A",
        "public_key": PAIR.public.hex(),
        "private_key": PAIR.private.hex(),
        "note": {
            "verifier": signer.verifier.encode(),
            "text": checkpoint.text(),
            "note": sign_note(checkpoint.text(), signer),
        },
        "wrapped_key": {
            "key_id": place[0],
            "record_class": place[1],
            "period": place[2],
            "context": context.hex(),
            "key": key.hex(),
            "wrapped": holder.wrap(key, context).hex(),
        },
    }
    FILE.write_text(json.dumps(vectors, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
