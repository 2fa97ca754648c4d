"""Who reports: each detail of ``[company]``, what it is, and what cannot be done while it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from console.i18n import mark as _
from tickets.reports.filing import NEEDED
from tickets.reports.templates import FieldsSection, Template
from tickets.settings import CompanySettings

FIELDS: Final = {
    "name": _("单位名称"),
    "licence_number": _("许可证编号"),
    "licence_expires_on": _("许可证到期日"),
    "domains": _("域名"),
    "access_provider": _("接入服务商"),
    "reporter": _("报告人"),
    "phone": _("电话"),
    "email": _("邮箱"),
    "address": _("地址"),
}
DUTIES: Final = {
    "licence_number": _("许可证编号展示检查不列入义务"),
    "licence_expires_on": _("续期义务无法起算"),
}
"""What becomes of duties without a detail."""


@dataclass(frozen=True, slots=True)
class Detail:
    """A detail: its ``field`` in the settings and its ``value`` (empty: it lacks).

    ``stops``: without it no report is drafted at all. ``shown_in``: the recipients whose reports print it.
    """

    field: str
    value: str
    stops: bool
    shown_in: tuple[str, ...]


def details(company: CompanySettings, templates: Mapping[str, Template]) -> list[Detail]:
    """Every detail in the order of the settings; ``templates`` are those that reports are laid out by."""
    return [
        Detail(
            field=field,
            value=_text(getattr(company, field)),
            stops=field in NEEDED,
            shown_in=tuple(name for name, template in templates.items() if _prints(template, f"company.{field}")),
        )
        for field in FIELDS
    ]


def _prints(template: Template, path: str) -> bool:
    return any(
        named == path
        for section in template.section
        if isinstance(section, FieldsSection)
        for _, named in section.fields
    )


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if value is None else str(value).strip()
