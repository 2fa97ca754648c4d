"""What is hidden, what stays, and that every text keeps its length."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.masking import MAX_TEXT, mask_account, mask_address, mask_text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("电话13812345678。", "12345"),
        ("电话 138-1234-5678", "1234"),
        ("+86 13812345678", "12345"),
        ("座机 0571-87654321", "876543"),
        ("身份证110101199003071234", "0119900307"),
        ("身份证11010119900307123X,", "0119900307"),
        ("卡号 6222 0212 3456 7890 123", "0212"),
        ("邮箱 zhang.san@example.com", "zhang"),
        ("来自 192.168.10.25", "168"),
        ("姓名:王小明", "小明"),
        ("收货人\uff1a欧阳小明", "阳小明"),
        ("联系人 王小明", "小明"),
        ("寄到浙江省杭州市西湖区文三路100号2幢", "西湖区"),
        ("地址:幸福小区三单元502", "小区三单元"),
    ],
)
def test_personal_data_is_hidden(text: str, hidden: str) -> None:
    shown = mask_text(text)
    assert hidden not in shown
    assert len(shown) == len(text)
    assert shown[0] == text[0]


@pytest.mark.parametrize(
    "text", ["", "商品很好,明天到货", "订单 202611240001 已发货", "2026-11-24 10:00:00", "3.5 元 x 2", "版本 1.2.3"]
)
def test_other_text_stays(text: str) -> None:
    assert mask_text(text) == text


@given(st.text())
def test_the_length_stays_so_that_hits_stay_in_place(text: str) -> None:
    assert len(mask_text(text)) == len(text)


@pytest.mark.parametrize("piece", ["1", "1-", "浙江省", "a.", "a@", "路1", "省市区", "192.", "姓名:"])
def test_no_text_takes_long(piece: str) -> None:
    began = time.monotonic()
    mask_text(piece * (MAX_TEXT // len(piece)))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("account", ["", "a", "ab", "abc", "abcd", "u00012345", "王小明先生"])
def test_accounts(account: str) -> None:
    shown = mask_account(account)
    assert len(shown) == len(account)
    assert shown == "" or shown != account


def test_addresses() -> None:
    assert mask_address("192.168.1.7") == "192.168.1.\uff0a"
    assert "7" not in mask_address("fe80::7")
    assert mask_address("nonsense") == "\uff0a"
