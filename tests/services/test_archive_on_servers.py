"""Merging, locks, the custodian and the rebuilt catalogue on PostgreSQL and S3, by the real command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from liucun.store import open_store
from retention.compaction.locking import lock_merged
from retention.objects.s3 import S3Objects
from retention.objects.s3_settings import S3Settings
from tests.services import servers
from tests.services.test_store_on_servers import Company, company

__all__ = ["company"]

pytestmark = pytest.mark.services


def count(company: Company) -> int:
    """Rows of all content."""
    rows = json.loads(company.fine("query", "SELECT count(*) AS n FROM content", "--purpose", "test", "--json"))
    return int(rows[0]["n"])


@pytest.mark.timeout(600)
def test_merged_locked_witnessed_and_rebuilt(
    company: Company, s3_settings: S3Settings, s3_bucket: str, postgres_admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = company.store / "liucun.toml"
    custodian = f"s3://{s3_bucket}/notary"
    settings.write_text(
        settings.read_text(encoding="utf-8")
        + f'\n[custodian]\ncheckpoints = "{custodian}"\n[custodian.s3]\nendpoint = "{s3_settings.endpoint}"\n'
        + 'addressing = "path"\n',
        encoding="utf-8",
    )
    company.fine("run", "--json", *company.sources)
    before = count(company)
    assert json.loads(company.fine("audit", "integrity", "--json"))["anchored"]

    merged = json.loads(company.fine("compact", "--json"))
    assert merged["merged"] > 0
    assert merged["locked"] == 0  # small, and their month is not over
    assert merged["collected"] == {"orphans": 0, "replaced": 0, "leftovers": 0}
    assert count(company) == before

    for name, value in company.env.items():
        monkeypatch.setenv(name, value)
    with open_store(company.store, ()) as opened:
        later = datetime.now(UTC) + timedelta(days=120)
        made = lock_merged(opened.catalogue, opened.objects, now=later)
        assert made > 0
        assert lock_merged(opened.catalogue, opened.objects, now=later) == 0
    where = next(line for line in settings.read_text().splitlines() if line.startswith("objects")).split('"')[1]
    objects = S3Objects(where, s3_settings)
    prefix = where.split("/", 3)[3]
    locked = [name for name in objects.list("segments/") if objects.locked_until(name) is not None]
    assert len(locked) == made
    with pytest.raises(ClientError, match=r"(?i)locked|denied|WORM"):
        versions = objects.client.list_object_versions(Bucket=objects.bucket, Prefix=f"{prefix}/{locked[0]}")
        for version in versions["Versions"]:
            objects.client.delete_object(Bucket=objects.bucket, Key=version["Key"], VersionId=version["VersionId"])

    audit = json.loads(company.fine("audit", "all", "--json"))
    assert audit["ok"]
    tickets = json.loads(company.fine("tickets", "list", "--json", "--limit", "100000"))
    with servers.database(postgres_admin) as fresh:
        text = settings.read_text(encoding="utf-8")
        old = next(line for line in text.splitlines() if line.startswith("catalogue"))
        settings.write_text(text.replace(old, f'catalogue = "{fresh}"'), encoding="utf-8")
        rebuilt = json.loads(company.fine("catalogue", "rebuild", "--json"))
        assert rebuilt["segments"] > 0
        assert count(company) == before
        again = json.loads(company.fine("tickets", "list", "--json", "--limit", "100000"))
        assert again == tickets
        audit = json.loads(company.fine("audit", "all", "--json"))
        assert (audit["ok"], audit["reports"]["integrity"]["anchored"]) == (True, True)
        assert json.loads(company.fine("run", "--json", *company.sources))["records_in"] == 0
        assert company.call("catalogue", "rebuild", "--json").returncode == 2  # it is not empty any more
