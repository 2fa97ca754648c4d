"""How long the cases and documents of disclosures live: sealed under a key a month, emptied when it is destroyed.

What decides is the archive's retention (class ``disclosure``). An emptied one keeps its number, who asked and approved,
when, the digests of its document and of what was handed out.
"""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.crypto.bodies import DISCLOSURES, BodyCipher
from retention.disclosure.register import context_of, name_accounts
from retention.disclosure.scope import Scope
from retention.disclosure.tables import accounts, disclosures
from retention.purge.beside import Kept, register
from retention.purge.filed_rows import FiledRows, RowKeeper, seal_lacking_rows

DISCLOSURE: Final = FiledRows(
    DISCLOSURES,
    disclosures,
    "disclosure_id",
    made="requested_at",
    bodies=("document", "sealed"),
    context=lambda row, column: context_of(row.disclosure_id, {"document": "document", "sealed": "words"}[column]),
    linked=(accounts,),
)
_KEPT: Final = "disclosure.texts_kept"
register(
    DISCLOSURES,
    Kept(
        RowKeeper(DISCLOSURE),
        "disclosure",
        _KEPT,
        "disclosure.texts_destroyed",
        disclosures.name,
        sealed=(disclosures.c.document, disclosures.c.sealed),
    ),
)


def seal_disclosures_lacking(catalogue: Catalogue, bodies: BodyCipher) -> tuple[int, list[str]]:
    """Put those from before there were such keys under that of their month, and say whom they are about.

    Returns:
        How many, and the subjects (``disclosure:…``) of which something is damaged: they stay as they are.
    """

    def name(connection: sa.Connection, row: Any) -> None:
        words = json.loads(bodies.open(row.sealed, context_of(row.disclosure_id, "words")))
        name_accounts(connection, bodies, row.disclosure_id, Scope.from_json(words["scope"]).accounts)

    keeper = RowKeeper(DISCLOSURE)
    return seal_lacking_rows(catalogue, bodies, DISCLOSURE, keeper, subject="disclosure", kind=_KEPT, also=name)
