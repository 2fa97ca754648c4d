"""What counts as near-identical: copies of an advert under other contacts, numbers and signs; and not other adverts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, take
from tests.tickets.test_joining import opened
from tickets import recall
from tickets.service import Desk
from tickets.similar import ALIKE, Sketcher, likeness, normalised
from tickets.sketching import sketch_lacking
from tickets.steps.joining import group_of
from tickets.tables import tickets
from tickets.tables_work import bands, sketches

ADVERTS = (
    "高价收购个人银行卡",
    "代开各类增值税发票先开后付",
    "正规棋牌平台注册就送彩金",
    "专业办理毕业证书学信网可查",
    "日结兼职刷单员一单一结上不封顶",
    "迷药听话水货到付款保密发货",
    "本地上门服务新到学生妹可验照",
    "出售实名微信号抖音号企业号长期有货量大从优",
    "内部消息稳赚不赔跟着老师操作三天回本欢迎咨询",
    "黑户也能贷当天放款不看征信额度五万起无前期费用",
)
HAN = "的一是了我不在人有他这大来上个国到说们为子和你地出道也时年得就"
CHANGES: dict[str, Callable[[Random, str], str]] = {
    "telephone": lambda random, text: f"{text} 电话1{random.randrange(10**10):010d}",
    "spaced telephone": lambda random, text: text + "☎" + "-".join(f"{random.randrange(10**11):011d}"),
    "qq": lambda random, text: f"{text}加Q {random.randrange(10**8, 10**10)}",
    "handle": lambda random, text: f"{text} 微信{''.join(random.choices('abcdefgh0123456789', k=9))}x",
    "letters": lambda random, text: f"v:{''.join(random.choices('abcdefghijklm', k=8))} {text}",
    "numerals": lambda random, text: text + "".join(random.choices("零一二三四五六七八九", k=11)),
    "counter": lambda random, text: f"第{random.randrange(1, 999)}条 {text}",
    "character": lambda random, text: text.replace(random.choice(text), random.choice(HAN), 1),
    "signs": lambda random, text: "".join(sign + random.choice(("", "*", " ", "~")) for sign in text),
}


class Keyed(PlainBodies):
    def __init__(self, key: int) -> None:
        self.key = key

    def blind(self, value: str, purpose: str) -> str:
        return super().blind(f"{value}{self.key}", purpose)


def share_of_alike(pairs: list[tuple[str, str]], keys: int = 3) -> float:
    """The share of pairs that meet in a band and are near-identical, over stores with keys of their own."""
    found = 0
    for key in range(keys):
        made = Sketcher(Keyed(key)).sketches([text for pair in pairs for text in pair])
        for one, other in zip(made[::2], made[1::2], strict=True):
            assert one
            assert other
            met = set(one.bands) & set(other.bands)
            found += bool(met) and likeness(one.signature, [other.signature])[0] >= ALIKE
    return found / (keys * len(pairs))


@pytest.mark.parametrize("name", CHANGES)
def test_copies_of_an_advert_are_found_whatever_the_sender_changes(name: str) -> None:
    random, change = Random(7), CHANGES[name]
    pairs = [(change(random, text), change(random, text)) for text in ADVERTS for _ in range(6)]
    if name == "character":
        pairs = [(text, change(random, text)) for text in ADVERTS[1:] for _ in range(6)]
    assert share_of_alike(pairs) >= 0.99


def test_other_adverts_under_the_same_contact_are_not_alike() -> None:
    contact = " 电话13800138000 微信abc123456"
    assert share_of_alike([(one + contact, other + contact) for one, other in combinations(ADVERTS, 2)]) == 0.0


def test_numbers_alone_are_compared_as_they_stand() -> None:
    assert normalised("13800138000 QQ 123456789") == "13800138000qq123456789"
    assert normalised("高价回收 手机 138-0013-8000") == "高价回收手机0"
    assert normalised("buy 50 pills cheap") == "buy0pillscheap"
    assert normalised("第①条①②③") == ""
    assert share_of_alike([("13800138000 123456", "15900159000 654321")]) == 0.0


def test_a_group_holds_what_waits_however_many_copies_were_settled(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "_MOST", 3)
    text = ADVERTS[8]
    ids = opened(catalogue, bodies, **{f"c{n}": f"{text} 电话1380013{n:04d}" for n in range(6)})
    for number in sorted(ids.values())[:4]:
        desk.dismiss(number, "无害")
    waiting = set(sorted(ids.values())[4:])
    with catalogue.read() as connection:
        assert {ticket.ticket_id for ticket in group_of(connection, min(waiting))} == waiting


def test_sketches_that_are_lacking_are_made_once(catalogue: Catalogue, bodies: PlainBodies) -> None:
    ids = opened(catalogue, bodies, a=ADVERTS[8] + "1", b=ADVERTS[8] + "22", c="短")
    take(catalogue, bodies, replace(CONTENT, content_id="d", text=ADVERTS[8] + "333"))
    with catalogue.write() as connection:
        connection.execute(bands.delete())
        connection.execute(sketches.delete().where(sketches.c.ticket_id.in_([ids["a"], ids["c"]])))
        connection.execute(sketches.update().values(version=1))
        assert recall.near(connection, ids["a"]) == []
    assert sketch_lacking(catalogue, bodies) == (4, [])
    assert sketch_lacking(catalogue, bodies) == (0, [])
    with catalogue.read() as connection:
        assert len(recall.near(connection, ids["a"])) == 2
        assert recall.near(connection, ids["c"]) == []


def test_a_damaged_body_is_named_until_it_is_whole_again(
    catalogue: Catalogue, bodies: PlainBodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = opened(catalogue, bodies, **{name: ADVERTS[8] + name for name in "abcd"})
    with catalogue.write() as connection:
        whole = connection.execute(sa.select(tickets.c.body).where(tickets.c.ticket_id == ids["b"])).scalar_one()
        connection.execute(tickets.update().where(tickets.c.ticket_id == ids["b"]).values(body=b"broken"))
        connection.execute(bands.delete())
        connection.execute(sketches.delete())
    monkeypatch.setattr("tickets.sketching._TOGETHER", 2)
    assert sketch_lacking(catalogue, bodies) == (3, [ids["b"]])
    assert sketch_lacking(catalogue, bodies) == (0, [ids["b"]])
    with catalogue.write() as connection:
        connection.execute(tickets.update().where(tickets.c.ticket_id == ids["b"]).values(body=whole))
    assert sketch_lacking(catalogue, bodies) == (1, [])
    with catalogue.read() as connection:
        assert len(recall.near(connection, ids["b"])) == 3
