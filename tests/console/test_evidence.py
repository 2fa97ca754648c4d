"""Sealed evidence on a ticket's page: taken out after a reason, compared with its digest, on record."""

from __future__ import annotations

import hashlib
import json

from tests.console.running import TEXT, trail
from tickets.evidence import list_evidence


def test_evidence_is_taken_out_after_a_reason_and_on_record(console) -> None:
    number = console.open_ticket()
    person = console.person("reviewer")
    fields = {"decision": "illegal", "reason": "赌博广告"}
    assert person.post(f"/tickets/{number}/confirm", **fields).status_code == 303
    assert person.post(f"/tickets/{number}/dispose", measure="delete").status_code == 303
    page = person.get(f"/tickets/{number}").text
    assert "evidence-" in page
    assert "/evidence/" not in page, "no link while the page is masked"
    with console.parts.catalogue.read() as connection:
        (file,) = list_evidence(connection, [f"ticket:{number}"])
    path = f"/tickets/{number}/evidence/{file.id}"
    assert person.get(path).status_code == 403
    assert person.post(f"/tickets/{number}/reveal", reason="核对证据").status_code == 303
    assert f'href="{path}"' in person.get(f"/tickets/{number}").text
    answer = person.get(path)
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == file.sha256
    assert json.loads(answer.content)["texts"][0]["text"] == TEXT
    assert ("evidence.read", "user:reviewer") in trail(console, f"ticket:{number}")
    assert person.get(f"/tickets/{number}/evidence/{file.id + 1}").status_code == 400
    other = console.open_ticket("另一条赌博广告")
    assert person.post(f"/tickets/{other}/reveal", reason="r").status_code == 303
    assert person.get(f"/tickets/{other}/evidence/{file.id}").status_code == 400, "of another ticket"
