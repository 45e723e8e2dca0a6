"""A chart of the report as an SVG file of its own: the style that it uses goes into the file, colours spelled out."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_STYLE = Path(__file__).parents[1] / "templates" / "style.css"
_RULE = re.compile(r"([^{}@]+)\{([^{}]*)\}")
_FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def standalone(chart: str) -> str:
    """The `<svg>` of a page as a file: namespace, size in pixels, white ground, and the rules for the classes in it."""
    left, top, width, height = (float(v) for v in re.search(r'viewBox="([^"]+)"', chart).group(1).split())  # type: ignore[union-attr]
    used = {name for names in re.findall(r'class="([^"]+)"', chart) for name in names.split()}
    rules = "\n".join(f"{selector} {{ {body} }}" for selector, body in _rules() if _is_used(selector, used))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
    ground = f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" fill="#ffffff"/>'
    body = chart.replace("<svg ", head, 1)
    end = body.index(">") + 1
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body[:end]}<style>\n{rules}\n</style>{ground}{body[end:]}\n'


def _is_used(selector: str, used: set[str]) -> bool:
    classes = set(re.findall(r"\.([\w-]+)", selector))
    return bool(classes) and classes <= used


@cache
def _rules() -> tuple[tuple[str, str], ...]:
    """(selector, declarations) of the style sheet's screen rules, variables replaced by what they stand for."""
    text = _STYLE.read_text(encoding="utf-8").partition("@media")[0]
    values = dict(re.findall(r"--([\w-]+):\s*([^;]+);", text))
    found = []
    for selectors, body in _RULE.findall(text):
        plain = re.sub(r"var\(--([\w-]+)\)", lambda m: values.get(m.group(1), m.group(0)), body.strip())
        plain = plain.replace(values["sans"], _FONT)
        found += [(selector.strip(), plain) for selector in selectors.split(",")]
    return tuple((selector, body) for selector, body in found if not selector.startswith("svg"))
