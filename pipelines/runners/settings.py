"""``[flink]``: where the cluster is, and how the job runs on it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from errors import SettingsError, UsageError
from retention.catalogue.engine import checked_url
from retention.places import is_url
from retention.store import StoreSettings

_SECRETS = frozenset({"password", "sslpassword"})
_ADDRESS = r"^[A-Za-z0-9_.-]+:[0-9]{1,5}$"


class FlinkSettings(BaseModel):
    """The cluster's addresses, each ``HOST:PORT``.

    ``master`` is the job manager's REST address, ``job_server`` Beam's job server for Flink; ``workers`` is the pool of
    Python workers as every task manager sees it. ``lanes`` is how many readers a source has (0: as many as
    ``parallelism``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    master: str = Field(default="127.0.0.1:8081", pattern=_ADDRESS)
    job_server: str = Field(default="127.0.0.1:8099", pattern=_ADDRESS)
    workers: str = Field(default="127.0.0.1:50000", pattern=_ADDRESS)
    parallelism: int = Field(default=1, ge=1, le=1024)
    lanes: int = Field(default=0, ge=0, le=4096)
    checkpoint_seconds: int = Field(default=10, ge=1, le=3600)


def require_no_password(store: StoreSettings) -> None:
    """The job carries the store's settings, and Flink shows and keeps its jobs: none may hold a password.

    Raises:
        SettingsError: the URL of a database does.
    """
    for name, where in (("[archive] catalogue", store.archive.catalogue), ("[keys] periods", store.keys.periods)):
        if is_url(where) and ((url := checked_url(where)).password or _SECRETS & url.query.keys()):
            raise SettingsError(
                f"{name} has a password in its URL, and a job on Flink would carry it to wherever Flink keeps jobs.",
                cure="Leave it out of the URL; give it to the run and every worker pool by PGPASSFILE or PGPASSWORD.",
            )


def flink_settings(declared: FlinkSettings, master: str | None, parallelism: int | None) -> FlinkSettings:
    """The settings with what the command line says instead.

    Raises:
        UsageError: the address is not ``HOST:PORT``.
    """
    given = {"master": master, "parallelism": parallelism}
    said = {name: value for name, value in given.items() if value is not None}
    try:
        return FlinkSettings.model_validate(declared.model_dump() | said)
    except ValidationError as error:
        raise UsageError(
            f"--flink-master {master!r} is not HOST:PORT.", cure="Give the REST address of Flink's job manager."
        ) from error
