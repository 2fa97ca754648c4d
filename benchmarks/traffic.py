"""Seeded log traffic for benchmarks: NDJSON of about 350 bytes a record; orders, page views and Chinese comments."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

_WORDS = (
    "这款", "手机壳", "质量", "不错", "物流", "很快", "颜色", "和", "图片", "一样", "客服", "态度", "好",
    "下次", "还", "会", "买", "尺码", "偏大", "建议", "拍", "小", "一号", "包装", "完整", "性价比", "高",
    "主播", "讲解", "详细", "价格", "实惠", "已经", "收到", "孩子", "喜欢", "面料", "舒服", "不掉色", "回购",
    "三次", "了", "推荐", "给", "朋友", "发货", "有点", "慢", "但是", "东西", "值得", "等", "今晚", "几点",
    "开播", "抽奖", "什么", "时候", "开始", "链接", "在", "哪里", "优惠券", "怎么", "领", "谢谢", "老板", "祝",
    "生意", "兴隆", "新疆", "包邮", "吗", "能", "开", "票", "支持", "七天", "退换",
)  # fmt: skip
_AGENTS = (
    "Mozilla/5.0 (Linux; Android 14; V2301A) AppleWebKit/537.36 Chrome/124.0 Mobile",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/125.0 Safari",
)
_START = datetime(2026, 10, 3, tzinfo=UTC)


def lines(records: int, seed: int = 1) -> Iterator[str]:
    """Yield ``records`` NDJSON lines, the same for the same seed."""
    rng = random.Random(seed)
    for number in range(records):
        moment = (_START + timedelta(milliseconds=number * 3)).isoformat(timespec="milliseconds")
        address = f"{rng.randrange(1, 224)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
        head = (
            f'{{"@timestamp":"{moment}","event":{{"id":"e{number:012d}"}},'
            f'"user":{{"id":"u{rng.randrange(200_000):07d}"}},'
            f'"source":{{"ip":"{address}","port":{rng.randrange(1024, 65536)}}},'
            f'"session_id":"{rng.getrandbits(64):016x}"'
        )
        kind = number % 10
        if kind < 4:
            quantity, price = rng.randrange(1, 6), rng.randrange(100, 99_999)
            yield (
                f'{head},"event_action":"order.paid","order_id":"o{rng.getrandbits(48):013d}",'
                f'"counterparty_id":"s{rng.randrange(5000):05d}",'
                f'"item_id":"i{rng.randrange(80_000):06d}","quantity":{quantity},"unit_price":{price / 100:.2f},'
                f'"amount":{quantity * price / 100:.2f},"currency":"CNY","order_status":"paid"}}'
            )
        elif kind < 7:
            yield (
                f'{head},"event_action":"page.view",'
                f'"url_original":"/item/{rng.randrange(80_000)}?from=live&room={rng.randrange(900)}",'
                f'"http_request_method":"GET","http_response_status_code":{rng.choice((200, 200, 200, 304, 404))},'
                f'"user_agent_original":"{rng.choice(_AGENTS)}"}}'
            )
        else:
            text = "".join(rng.choices(_WORDS, k=rng.randrange(8, 26)))
            yield (
                f'{head},"event_action":"comment.post","content_id":"c{number:012d}",'
                f'"content_type":"live_comment","text":"{text}"}}'
            )


def write(path: Path, records: int, seed: int = 1) -> int:
    """Write ``records`` lines to a file and return its size in bytes."""
    with path.open("w", encoding="utf-8") as file:
        for line in lines(records, seed):
            file.write(line)
            file.write("\n")
    return path.stat().st_size
