"""Types of content under one name each, whatever a platform calls them."""

from __future__ import annotations

import re
from typing import Final

STANDARD: Final = ("text", "image", "audio", "video")
"""Types that every platform has to think of: each needs a live detector, or is named as not monitored."""
NAMES: Final = {
    "text": "文字", "image": "图片", "audio": "音频", "video": "视频", "live": "直播", "link": "链接", "file": "文件",
}  # fmt: skip
_WORDS: Final = {
    "text": (
        "text",
        "txt",
        "comment",
        "name",
        "bio",
        "post",
        "title",
        "review",
        "article",
        "文字",
        "文本",
        "评论",
        "标题",
        "帖子",
    ),
    "image": ("image", "img", "picture", "photo", "pic", "gif", "jpg", "jpeg", "png", "webp", "图片", "图像", "照片"),
    "audio": ("audio", "voice", "sound", "music", "mp3", "音频", "语音"),
    "video": ("video", "clip", "mp4", "short_video", "视频", "短视频"),
    "live": ("live", "livestream", "stream", "直播"),
    "link": ("link", "url", "card", "链接"),
    "file": ("file", "document", "attachment", "application", "pdf", "zip", "文件", "附件"),
}  # fmt: skip
_KNOWN: Final = {word: kind for kind, words in _WORDS.items() for word in words}
MAX_LENGTH: Final = 64


def kind_of(content_type: str | None) -> str:
    """The type's name: ``image`` for ``image/jpeg``, ``图片`` or ``IMG``, ``text`` for ``live_comment``.

    Of several words the last known one counts, before a slash the first; what is unknown keeps its own word.

    A record without a type is text.
    """
    if content_type is None or not content_type.strip():
        return "text"
    word = content_type.strip().casefold()
    parts = reversed(re.split(r"[_.\s-]+", word.split("/", 1)[0]))
    return _KNOWN.get(word) or next((_KNOWN[part] for part in parts if part in _KNOWN), word[:MAX_LENGTH])
