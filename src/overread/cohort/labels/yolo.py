"""YOLO: one text file for each image, a line for each object: class number, then a box or a polygon.

Source: Ultralytics data set formats (detect: class, centre x, centre y, width, height; segment: class, x1, y1, x2,
y2, ...), all as shares of the image's width and height, from pixel edges. A sixth number of a box is a score, and so is
one that follows the corners of a polygon. The names of the classes stand in data.yaml, obj.names or classes.txt. An empty
file says that there is nothing; no file says nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from overread.cohort.labels.marks import Mark, MarkedImage, MarkFile, box_of, outline_of
from overread.cohort.labels.odd_marks import oriented
from overread.cohort.labels.parsing import damaged, read_text, real
from overread.core.errors import Refused

BESIDE = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "obj.names", "classes.txt", "classes.names", "coco.names")
LEVELS = 3  # folders above the labels in which the names may lie
MOST_DIGITS = 4  # of a class number; a larger one is a slip, and without names would make as many classes
SLACK = 0.01  # share of the image: beyond it a number is no rounding; the exact border is checked in pixels later
NUMBER = re.compile(r"[-+]?((\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|nan|inf(inity)?)", re.IGNORECASE)  # the last to be refused by name
CORNERS_OF_DOTA = 8  # numbers before the name of the class and its difficulty


def is_yolo(text: str) -> bool:
    """Lines of a whole number and four or more shares; nothing else."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return bool(lines) and all(
        len(parts) >= 5 and re.fullmatch(r"-?\d+", parts[0]) and all(NUMBER.fullmatch(p) for p in parts[1:]) for parts in lines
    )


def is_dota(text: str) -> bool:
    """Lines of eight numbers, a name, and perhaps a difficulty: oriented boxes (Xia et al., "DOTA", CVPR 2018)."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith(("imagesource:", "gsd:"))]
    return bool(lines) and all(
        len(parts) in (CORNERS_OF_DOTA + 1, CORNERS_OF_DOTA + 2)
        and all(NUMBER.fullmatch(p) for p in parts[:CORNERS_OF_DOTA])
        and not NUMBER.fullmatch(parts[CORNERS_OF_DOTA])
        for parts in lines
    )


def names_file(folder: Path) -> Path | None:
    """The file with class names beside the labels, or up to three folders above."""
    for place in [folder, *list(folder.parents)[:LEVELS]]:
        for name in BESIDE:
            if (place / name).is_file():
                return place / name
    return None


def read_names(path: Path) -> tuple[str, ...]:
    """Class names in order, of a data.yaml or a list of lines."""
    text = read_text(path)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    if re.search(r"^kpt_shape\s*:", text, re.MULTILINE):
        raise Refused(
            "keypoints",
            f"{path.name} describes key points (kpt_shape), which are no boxes or outlines.",
            "export boxes or polygons",
        )
    return _yaml_names(text, path.name)


def _yaml_names(text: str, name: str) -> tuple[str, ...]:
    """`names` in any of the ways that YOLO files write it: a list in brackets, a list of lines, a map of numbers."""
    lines = [re.sub(r"(^|\s)#.*$", "", line).rstrip() for line in text.splitlines()]
    start = next((k for k, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is None:
        raise damaged(name, "it has no 'names'")
    rest = lines[start].partition(":")[2].strip()
    if rest:
        inline = " ".join([rest, *lines[start + 1 :]])
        end = inline.find("]" if rest.startswith("[") else "}")
        if end < 0 or rest[0] not in "[{":
            raise damaged(name, "'names' is neither a list nor a map")
        parts = [p.strip() for p in _split(inline[1:end]) if p.strip()]
    else:
        parts = []
        for line in lines[start + 1 :]:
            if line and not re.match(r"\s+|-\s", line):
                break
            if line.strip():
                parts.append(line.strip().removeprefix("- ").strip())
    numbered = [re.match(rf"['\"]?(\d{{1,{MOST_DIGITS}}})['\"]?\s*:\s*(.+)$", p) for p in parts]
    if parts and all(numbered):
        pairs = {int(m[1]): _plain(m[2]) for m in numbered if m}
        if sorted(pairs) != list(range(len(pairs))):
            raise damaged(name, f"classes are numbered {', '.join(map(str, sorted(pairs)[:10]))}; 0, 1, 2 ... was expected")
        return tuple(pairs[k] for k in range(len(pairs)))
    return tuple(_plain(p) for p in parts)


def _split(text: str) -> list[str]:
    """At commas that stand outside quotation marks."""
    return re.findall(r"""(?:"[^"]*"|'[^']*'|[^,])+""", text)


def _plain(word: str) -> str:
    word = word.strip()
    if word[:1] in "'\"" and word[-1:] == word[:1] and len(word) > 1:
        try:
            return str(ast.literal_eval(word))
        except (ValueError, SyntaxError):
            return word[1:-1]
    return word


def read_yolo(path: Path, names: Sequence[str]) -> MarkFile:
    """The labels of one image; its size is not in the file, so coordinates stay shares of it.

    names  of the classes; without them a class is called by its number
    """
    path = Path(path)
    marks = []
    highest = -1
    for k, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            number, mark = _mark(line.split(), names, f"{path.name}, line {k}")
            marks.append(mark)
            highest = max(highest, number)
    classes = tuple(names) or tuple(f"class {k}" for k in range(highest + 1))
    return MarkFile("YOLO", (MarkedImage(path.stem, tuple(marks), relative=True),), classes)


def _mark(parts: Sequence[str], names: Sequence[str], where: str) -> tuple[int, Mark]:
    if not parts[0].isdecimal() or len(parts[0]) > MOST_DIGITS:
        raise damaged(where, f"a line begins with the number of a class, not '{parts[0][:20]}'")
    number = int(parts[0])
    if names and number >= len(names):
        raise damaged(where, f"class {number} has no name; named are 0 to {len(names) - 1}")
    name = names[number] if names else f"class {number}"
    values = [real(p, where) for p in parts[1:]]
    if len(values) == 5 and not 0 <= values[4] <= 1:
        raise oriented(f"{where}: a line holds a class, x, y, width, height and an angle ({values[4]:g})")
    outside = [v for v in values if not -SLACK <= v <= 1 + SLACK]
    if outside:
        raise Refused(
            "outside-image",
            f"{where}: {outside[0]:g} is no share of the image; 0 to 1 was expected.",
            "export the labels as YOLO again",
        )
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        box = box_of(x - width / 2, y - height / 2, x + width / 2, y + height / 2, where)
        return number, Mark(name, box, score=values[4] if len(values) == 5 else 1.0)
    corners, score = (values[:-1], values[-1]) if len(values) % 2 else (values, 1.0)
    return number, Mark(name, outlines=(outline_of(corners, where),), score=score)
