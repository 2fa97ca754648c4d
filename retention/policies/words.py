"""Which records tell the end of an order, a seller, a live stream: the column that names it, and the words that end it.

Whatever is not known to end a subject leaves it open: a word that is missing here keeps records longer, never shorter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from retention.schema import RecordClass


@dataclass(frozen=True, slots=True)
class EndRule:
    """How the end of a class's subjects is read from its records.

    Args:
        key: column that names the subject.
        status: column whose words end it (``ending``) or say that it runs (``running``).
        ended_at: column with the time of its end, where there is one.
        listed: of records that name no subject and an article, how its listing ends.
    """

    key: str
    status: str
    ended_at: str | None
    ending: frozenset[str]
    running: frozenset[str]
    listed: ListingRule | None = None


@dataclass(frozen=True, slots=True)
class ListingRule:
    """How the end of a listing (商品信息) is read: ``key`` names the article, any of ``status`` takes it down or up."""

    key: str
    status: tuple[str, ...]
    ending: frozenset[str]
    running: frozenset[str]


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


# Words that may mean a step only (success, done, 签收) are left out on purpose.
_ORDER_ENDS: Final = _words(
    "completed complete trade_finished trade_success cancelled canceled closed trade_closed refunded fully_refunded",
    "已完成 交易完成 交易成功 已取消 已关闭 交易关闭 已退款 全额退款",
)
_ORDER_RUNS: Final = _words(
    "created new placed pending unpaid paid processing confirmed packed shipped in_transit delivered reopened",
    "待付款 待支付 已支付 已付款 待发货 已发货 运输中 待收货 已送达 进行中",
)
_LISTING_ENDS: Final = _words(
    "item.delisted item.removed item.off_shelf product.delisted product.removed product.off_shelf listing.ended",
    "listing.removed delisted off_shelf 下架 已下架 商品下架",
)
_LISTING_RUNS: Final = _words(
    "item.listed item.relisted item.on_shelf product.listed product.relisted product.on_shelf listing.created",
    "listing.started listed relisted on_shelf 上架 已上架 商品上架 重新上架",
)
_SELLER_ENDS: Final = _words(
    "seller.exited seller.exit seller.closed shop.closed deregistered", "退出 退店 注销 已注销 关店"
)
_SELLER_RUNS: Final = _words("seller.joined seller.registered shop.opened", "入驻 开店")
_STREAM_ENDS: Final = _words("stream.ended stream.end live.ended live.end", "直播结束 下播")
_STREAM_RUNS: Final = _words("stream.started stream.start live.started live.start", "直播开始 开播")

RULES: Final[Mapping[str, EndRule]] = {
    RecordClass.TRANSACTION: EndRule(
        "order_id",
        "order_status",
        "transaction_completed_at",
        _ORDER_ENDS,
        _ORDER_RUNS,
        ListingRule("item_id", ("event_action", "order_status"), _LISTING_ENDS, _LISTING_RUNS),
    ),
    RecordClass.SELLER_IDENTITY: EndRule("user_id", "event_action", None, _SELLER_ENDS, _SELLER_RUNS),
    RecordClass.LIVE_INDEX: EndRule("content_id", "event_action", None, _STREAM_ENDS, _STREAM_RUNS),
    RecordClass.EVIDENCE: EndRule("event_id", "event_action", None, frozenset(), frozenset()),
}
"""Evidence ends with its ticket (``event_id`` is the ticket's number), which the tickets tell, not the records."""


def rules(ending_words: Iterable[str] = (), delisting_words: Iterable[str] = ()) -> dict[str, EndRule]:
    """The rules, with further words of this platform that end an order, and that take a listing down."""
    found = dict(RULES)
    order = found[RecordClass.TRANSACTION]
    more, down = (frozenset(word.strip().lower() for word in words) for words in (ending_words, delisting_words))
    listed = order.listed
    if listed is not None:
        listed = replace(listed, ending=listed.ending | down, running=listed.running - down)
    found[RecordClass.TRANSACTION] = replace(
        order, ending=order.ending | more, running=order.running - more, listed=listed
    )
    return found
