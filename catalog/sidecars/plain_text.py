"""Descriptions as Civitai stores them, in HTML, as plain text."""

import html
import re
from typing import Final

from catalog.lines import CONTROL

HTML_MAX: Final = 50_000
"""Characters of HTML that are looked at; only the first thousand of the text are kept."""

_TAGS: Final = (
    "a|b|i|u|s|p|br|hr|ul|ol|li|em|div|img|pre|sub|sup|del|ins|code|span|mark|font|small|strong"
    "|center|strike|iframe|figure|blockquote|h[1-6]|table|tbody|thead|tr|td|th"
)
_BREAKS: Final = re.compile(
    r"<(?:br|hr|/?(?:p|div|ul|ol|pre|h[1-6]|blockquote|table|tr))(?=[\s/>])[^<>]*>", re.IGNORECASE
)
_ITEM: Final = re.compile(r"<li(?=[\s/>])[^<>]*>", re.IGNORECASE)
_TAG: Final = re.compile(rf"</?(?:{_TAGS})(?=[\s/>])[^<>]*>", re.IGNORECASE)
_HIDDEN: Final = re.compile(r"<(/?)(?:script|style)(?=[\s/>])[^<>]*>|<!--|-->", re.IGNORECASE)
_CUT_OFF: Final = re.compile(r"</?[A-Za-z!][^<>]*\Z")
_SPACES: Final = re.compile(r"[ \t\xa0]+")


def plain_text(text: str, most: int) -> str:
    """The first `most` characters of `text`, without its HTML tags if it has any."""
    if len(text) > HTML_MAX:
        text = _CUT_OFF.sub("", text[:HTML_MAX])
    if _TAG.search(text):
        text = _ITEM.sub("\n- ", _BREAKS.sub("\n", _shown(text)))
        text = re.sub(r"\n\s+", "\n", html.unescape(_TAG.sub("", text)))
    lines = (CONTROL.sub("", _SPACES.sub(" ", line)).strip() for line in text.splitlines())
    return "\n".join(lines).strip()[:most].strip()


def _shown(text: str) -> str:
    """`text` without scripts, styles and comments."""
    shown, hidden, end = [], False, 0
    for mark in _HIDDEN.finditer(text):
        if not hidden:
            shown.append(text[end : mark.start()])
        hidden = mark[0] == "<!--" or (mark[0] != "-->" and not mark[1])
        end = mark.end()
    if not hidden:
        shown.append(text[end:])
    return "".join(shown)
