"""Folding of single code points: what a character counts as for the model.

``fold_table`` maps a code point to the one it stands for, 0 for what is dropped
(signs, spaces, zero-width characters, emoji without a word); ``syllable_table``
maps a Chinese character to the number of its reading. Pairs of characters that
spell a third (split characters) are joined by ``split_characters``.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.model.tables import POINTS

_CONFUSABLE: Final = {
    # Cyrillic and Greek letters drawn like Latin ones (Unicode TR 39, confusables).
    **dict(
        zip(
            "аАвВсСеЕнНкКмМоОрРтТхХуУіІјЈѕЅαΑβΒεΕηΗιΙκΚμΜνΝοΟρΡτΤυΥχΧ",
            "aabbcceehhkkmmooppttxxyyiijjssaabbeehhiikkmmnnooppttuuxx".replace(" ", ""),
            strict=False,
        )
    ),
    "〇": "0", "零": "0", "Ⓥ": "v", "∨": "v", "✓": "v", "√": "v",
    "➕": "加", "+": "加", "✚": "加", "✖": "x", "×": "x", "❌": "x",
}  # fmt: skip

_EMOJI: Final = {
    # Emoji that stand for a word or its sound in adverts.
    "💰": "钱", "💴": "钱", "💵": "钱", "🤑": "钱", "💸": "钱", "🐔": "鸡", "🐓": "鸡", "🐥": "鸡",
    "💊": "药", "💉": "针", "🔫": "枪", "🗡": "刀", "🔪": "刀", "💣": "弹", "🐧": "q", "🛰": "微",
    "💬": "信", "📱": "机", "☎": "电", "📞": "电", "✈": "飞", "🛩": "飞", "🛫": "飞", "❄": "冰",
    "🧊": "冰", "🍃": "叶", "🌿": "草", "🍁": "叶", "🎰": "赌", "🎲": "赌", "🀄": "麻", "🃏": "牌",
    "🐮": "牛", "🐶": "狗", "🐷": "猪", "🐱": "猫", "🐎": "马", "🐴": "马", "🍵": "茶", "☕": "茶",
    "🚗": "车", "🚙": "车", "🏎": "车", "🈵": "满", "🈶": "有", "🉑": "可", "🆗": "可", "👩": "女",
    "👧": "妹", "👄": "口", "🔞": "黄", "🈲": "禁", "🚬": "烟", "🍺": "酒", "🍷": "酒", "⬆": "上",
    "🉐": "得", "💳": "卡", "🧾": "票", "🎫": "票", "🏠": "家", "🏨": "店", "🐍": "蛇", "🐟": "鱼",
    "🦆": "鸭", "🌹": "花", "🔥": "火", "💥": "爆", "🦠": "毒", "🐀": "鼠", "💀": "死", "☠": "死",
    "💩": "屎", "🍆": "茄", "🍑": "桃", "🆚": "v", "🛢": "油", "🕊": "鸽", "👊": "打", "📧": "邮",
}  # fmt: skip

_SPLIT: Final = (
    # Two parts and the character they spell, in that order.
    "氵原源 女马妈 亻言信 亻尔你 女子好 口乞吃 言舌话 舌甘甜 贝者赌 者阝都 日月明 木木林 走召超 "
    "土也地 弓长张 讠正证 讠射谢 讠果课 禾口和 禾中种 礻土社 米青精 月半胖 月殳股 艹约药 钅艮银 "
    "钅同铜 木艮根 "
    "讠兑说 女又奴 女且姐 女未妹 女良娘 女昌娼 女支妓 女票嫖 氵去法 氵每海 氵毒毒 木仓枪 木又权 "
    "木上卡 弓单弹 火乍炸 火包炮 火旦炟 少见觅 丰色艳 纟合给 纟色绝 彳亍行 卜卦卦 扌丁打 扌安按 "
    "扌非排 扌包抱 "
    "扌买买 礻兄祝 礻申神 西示票 示西票 贝才财 贝宝宝 贝化货 火页烦 贷款贷 忄青情 忄生性 忄夬快 "
    "木几机 木黄横 木公松 走己起 辶文这 辶首道 辶井进 辶寸过 辶车连 辶斤近 亻木休 亻主住 亻弋代 "
    "亻介价 亻也他 "
    "亻门们 亻十什 亻二仁 亻寺侍 亻更便 口马吗 口巴吧 口那哪 口尼呢 口合哈 石马码 石包炮 王元玩 "
    "王見现 马奇骑 马扁骗 犭句狗 犭者猪 犭贵贵 月要腰 月土肚 月兄脱 月几肌 月任胜 讠乍诈 讠羊详 "
    "讠只识 讠周调 "
    "钅戋钱 钅十针 钅监鉴 金戋钱 金艮银 禾斗科 禾必秘 禾刂利 米立粒 米分粉 氵水冰 冫水冰 氵包泡 "
    "氵由油 氵西洒 氵酉酒 火因烟 火欠炊 火勺灼 火尧烧 十口叶 艹化花 艹早草 麻毛毛 目艮眼 目青睛 "
    "革化靴 革及靸 "
    "食反饭 饣反饭 鱼羊鲜 又鸟鸡 鸟又鸡 女古姑 女乃奶 口加咖 力口加 力日加 亻加伽 口力叻 讠人认 "
    "讠己记 讠平评 讠井讲 讠方访 亻古估 亻夫伕 彳主往 彳艮很 彳导得 日寸时 日青晴 日免晚 白勺的 "
    "白水泉 足各路 "
    "身寸射 身朵躲 车仑轮 车专转 木几机 木寸村 木对树 木交校 衤果裸 糸且组 纟且组 纟田细 纟工红 "
    "纟录绿 虫它蛇 门口问 门日间 尸比屁 尸米屎 尸水尿 尸古居 耳关联 耳又取 立占站 立里童 田力男 "
    "人人从 山夕岁 "
    "夕卜外 不正歪 不用甭 大可奇 木子李 古月胡 言午许 门内闷 贝反贩 贝各赂 贝有贿 贝曾赠 "
)

_ORDINARY: Final = (
    # Neighbours in ordinary text, which must stay two characters.
    "女子 日月 木木 人人 不正 不用 大可 木子 古月 西示 贷款 卜卦 食反 口加 力口 十口 少见 "
    "石马 田力 山夕 足各 走己 日寸 耳关 白水 米分 米粒 火包 木上 木公 木黄 木交 火因 禾中 "
    "立里 鱼羊 贝宝 土也 门口 王元 日免 日青 耳又 麻毛 火页 金艮 丰色 门日 门内 目青 口力 "
    "女又 女未 木根 车仑 "
)


def _fold_one(char: str) -> str:
    if char in _EMOJI:
        return _EMOJI[char]
    if char in _CONFUSABLE:
        return _CONFUSABLE[char]
    norm = unicodedata.normalize("NFKC", char).lower()
    if len(norm) != 1:
        # "㎏" and the like: the first letter or digit stands for all.
        norm = next((c for c in norm if c.isalnum()), "")
        norm = norm[:1]
    if not norm:
        return ""
    norm = _CONFUSABLE.get(norm, norm)
    base = unicodedata.normalize("NFD", norm)[0] if ord(norm) < 0x250 else norm
    return base if base.isalnum() else ""


def _simplified(chars: str) -> str:
    from zhconv_rs import zhconv

    # One character a line, so that no phrase rule of the converter can reach across.
    return str(zhconv("\n".join(chars), "zh-hans"))


@lru_cache(maxsize=1)
def fold_table() -> npt.NDArray[np.uint32]:
    """Return the table (``POINTS`` code points → folded code point, 0 = dropped), built in about 0.1 s."""
    table = np.zeros(POINTS, np.uint32)
    blocks = (
        (0x20, 0x2100), (0x2100, 0x3400), (0xA000, 0xA4D0), (0xF900, 0xFB07), (0xFE00, 0x10000),
        (0x1D400, 0x1D800), (0x1F000, 0x1FB00),
    )  # fmt: skip
    for low, high in blocks:
        for point in range(low, high):
            folded = _fold_one(chr(point))
            if folded:
                table[point] = ord(folded)
    for low, high in ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0x20000, 0x323B0)):
        table[low:high] = np.arange(low, high, dtype=np.uint32)
    for char in _CONFUSABLE:
        table[ord(char)] = ord(_fold_one(char))
    han = "".join(map(chr, range(0x4E00, 0xA000)))
    lines = _simplified(han).split("\n")
    if len(lines) == len(han):
        for char, line in zip(han, lines, strict=True):
            if len(line) == 1 and char not in _CONFUSABLE:
                table[ord(char)] = ord(line)
    table.setflags(write=False)
    return table


def split_characters() -> dict[tuple[int, int], int]:
    """Return the pairs of folded code points that spell one character."""
    table = fold_table()
    found: dict[tuple[int, int], int] = {}
    ordinary = set(_ORDINARY.split())
    for left, right, whole in (tuple(s) for s in _SPLIT.split()):
        a, b, c = (int(table[ord(x)]) for x in (left, right, whole))
        if a and b and c and left + right not in ordinary:
            found[a, b] = c
    return found


@lru_cache(maxsize=1)
def split_spellings() -> dict[str, str]:
    """Return character → the two parts that spell it, for every pair that folding joins."""
    return {chr(whole): chr(a) + chr(b) for (a, b), whole in split_characters().items()}


@lru_cache(maxsize=1)
def emoji_words() -> dict[str, list[str]]:
    """Return character → the emoji that stand for it."""
    words: dict[str, list[str]] = {}
    for sign, word in _EMOJI.items():
        words.setdefault(word, []).append(sign)
    return words


@lru_cache(maxsize=1)
def syllable_table() -> tuple[npt.NDArray[np.uint16], list[str]]:
    """Return (code points below 0x10000 → number of the reading from 1, 0 = none) and the readings by number - 1."""
    from pypinyin import Style, pinyin_dict
    from pypinyin.style import convert

    table = np.zeros(0x10000, np.uint16)
    numbers: dict[str, int] = {}
    for point in range(0x4E00, 0xA000):
        readings = pinyin_dict.pinyin_dict.get(point)
        if not readings:
            continue
        plain = convert(readings.split(",")[0], Style.NORMAL, strict=False).replace("ü", "v").lower()
        table[point] = numbers.setdefault(plain, len(numbers) + 1)
    return table, list(numbers)
