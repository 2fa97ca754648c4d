"""Letters, digits and characters drawn like others (Unicode TR 39 calls them confusables), by what they look like."""

from __future__ import annotations

from typing import Final

_LETTERS: Final = {
    "a": "аɑαΑАᴀꓮᗅ∀", "b": "вВβΒЬьƄʙꓐᗷ", "c": "сСϲᴄꓚⅽͼ", "d": "ԁԀᴅꓓᗪđ", "e": "еЕєЄεΕᴇꓰҽə", "f": "ϝꓝғſ", "g": "ɡɢԌꓖց",
    "h": "һНнΗʜꓧհ", "i": "іІιΙɪıꓲӏ", "j": "јЈϳᴊꓙ", "k": "кКκΚᴋꓗ", "l": "ⅼʟꓡ", "m": "мМΜᴍꓟ",
    "n": "ηΝɴꓠпո", "o": "оОοΟᴏꓳօ", "p": "рРρΡᴘꓑ", "q": "ԛզ", "r": "гʀꓣᴦ", "s": "ѕЅꜱꓢ", "t": "тТτΤᴛꓔ",
    "u": "υᴜꓴцս", "v": "νѵѴᴠꓦⱽ", "w": "ѡωшШᴡꓪԝ", "x": "хХχΧꓫ", "y": "уУүҮγΥʏꓬ", "z": "ᴢΖꓜ",
}  # fmt: skip

_HAN: Final = {
    "微": "薇徽嶶溦巍", "信": "伩訫伈", "加": "伽迦枷", "扣": "釦叩",
}  # fmt: skip

ENCLOSED: Final = (
    # (first code point, what the run of code points stands for): NFKC leaves these as they are.
    (0x1F150, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    (0x1F170, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    (0x2776, "123456789"),
    (0x2780, "123456789"),
    (0x278A, "123456789"),
    (0x24F5, "123456789"),
)
ENCLOSED_WORDS: Final = {
    **{0x24EB + i: str(11 + i) for i in range(10)},
    0x277F: "10", 0x2789: "10", 0x2793: "10", 0x24FE: "10", 0x24FF: "0", 0x1F10B: "0", 0x1F10C: "0",
    0x1F18E: "AB", 0x1F191: "CL", 0x1F197: "OK", 0x1F19A: "VS",
}  # fmt: skip

RADICALS: Final = {
    # CJK radicals supplement: forms that NFKC leaves; beside the strokes they serve in split characters.
    "⺀": "冫", "⺅": "亻", "⺉": "刂", "⺖": "忄", "⺗": "心", "⺘": "扌", "⺙": "攵", "⺡": "氵", "⺣": "灬",
    "⺧": "牛",
    "⺨": "犭", "⺩": "王", "⺪": "疋", "⺭": "礻", "⺮": "竹", "⺯": "糸", "⺰": "纟", "⺼": "月", "⺾": "艹",
    "⺿": "艹",
    "⻀": "艹", "⻈": "讠", "⻊": "足", "⻋": "车", "⻌": "辶", "⻍": "辶", "⻎": "辶", "⻏": "阝", "⻐": "钅",
    "⻓": "长",
    "⻔": "门", "⻖": "阝", "⻗": "雨", "⻚": "页", "⻛": "风", "⻜": "飞", "⻝": "食", "⻠": "饣", "⻢": "马",
    "⻥": "鱼",
    "⻦": "鸟", "⻰": "龙",
}  # fmt: skip

STROKES: Final = frozenset("丶丨丿乀乁亅灬〆ゝゞヽヾ々〻ｰー゛゜ʕʔ")
"""Characters put between others as if they were punctuation; Unicode calls them letters."""

LOOKALIKES: Final[dict[str, str]] = {
    **{sign: letter for letter, signs in _LETTERS.items() for sign in signs},
    **{sign: han for han, signs in _HAN.items() for sign in signs},
    "〇": "0", "○": "0", "◯": "0", "⭕": "0",
}  # fmt: skip
