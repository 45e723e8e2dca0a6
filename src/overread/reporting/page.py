"""What every page shares: the templates, the style, pictures held in the page itself."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from overread.reporting.sections.results import number
from overread.reporting.words import listed, rule_words

_TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """Jinja with escaping on, and an error where a template asks for what is not given."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.update(
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "report.js").read_text(encoding="utf-8")),
        image_source=image_source,
    )
    made.filters.update(
        number=number, listed=listed, upfirst=upper_first, gaps=marked_gaps, rule=rule_words, commands=marked_commands
    )
    return made


def image_source(png: bytes) -> str:
    """A picture as an address that holds the picture."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def upper_first(words: str) -> str:
    """The first letter large, the others as they are: GiB stays GiB."""
    return words[:1].upper() + words[1:]


def marked_commands(words: str) -> Markup:
    """Text in which what stands between backquotes is set as what one types."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))


def marked_gaps(words: str) -> Markup:
    """Text with what was not stated set apart, so that no gap is pasted unseen."""
    return Markup(re.sub(r"\[NOT STATED[^\]]*\]", r'<span class="gapword">\g<0></span>', str(escape(words))))
