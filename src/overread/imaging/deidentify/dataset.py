"""One DICOM data set, walked at every depth: each attribute gets the action of Table E.1-1, and is counted.

Stricter than the table where the table is silent: attributes that no dictionary knows are removed, person names are
emptied, dates follow the dates option, instance UIDs are replaced, and known identifiers are taken out of any text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from overread.imaging.deidentify.dates import capped_age, shifted
from overread.imaging.deidentify.private import kept_private
from overread.imaging.deidentify.profile import MOMENTS, Profile
from overread.imaging.deidentify.representation import vr_of
from overread.imaging.deidentify.secret import Secret
from overread.imaging.deidentify.table import chosen, row_of
from overread.imaging.deidentify.text import REMOVED, Known, cleaned

TEXTS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "UR", "AE", "CS"})
CLEANABLE = TEXTS - {"AE", "UR"} | {"SQ", "AS", *MOMENTS}  # what can be cleaned; anything else gets its basic action
FLOATS = frozenset({"FL", "FD"})
BULK = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
DUMMIES: dict[str, Any] = {
    "DA": "19000101",
    "TM": "000000",
    "DT": "19000101000000",
    "AS": "000Y",
    "PN": REMOVED,
    "DS": "0",
    "IS": "0",
    "UR": "urn:removed",
    "AT": BaseTag(0),
}
CONTENT_SEQUENCE = 0x0040A730
SCHEME = 0x00080102
CODE_PARTS = (SCHEME, 0x00080100, 0x00080103, 0x00080104, 0x00080119, 0x00080120)  # designator, value, version, meaning ...
KNOWN_SCHEMES = frozenset(
    {"DCM", "SCT", "SRT", "SNM3", "UCUM", "LN", "RADLEX", "FMA", "NCIt", "UMLS", "ICD10", "I10", "I9C", "NEU", "MDNS"}
)
CLASS_KEYWORDS = ("ClassUID", "TransferSyntaxUID", "ContextUID", "MappingResourceUID", "CodingSchemeUID")  # of definitions


@dataclass
class Walk:
    """One data set on its way; `log` counts (tag, action) and holds no value.

    days   by which this patient's dates are moved
    codes  pseudonyms that stand in for identifiers of the exam, by tag
    """

    profile: Profile
    secret: Secret
    days: int
    known: Known
    sop_class: str
    codes: dict[int, str] = field(default_factory=dict)
    log: Counter[tuple[str, str]] = field(default_factory=Counter)

    def over(self, tags: Dataset, parent: int | None = None, mode: str = "") -> None:
        """Change a data set in place.

        parent  tag of the sequence around it
        mode    "clean" or "dummy" inside a sequence with that action: text that the table does not name follows it
        """
        safe = kept_private(tags) if "safe_private" in self.profile.options else set()
        scheme = _text(tags, SCHEME)
        for tag in list(tags.keys()):
            if tag not in safe:
                self._one(tags, tag, parent, mode, scheme)

    def _one(self, tags: Dataset, tag: BaseTag, parent: int | None, mode: str, scheme: str) -> None:
        vr = vr_of(tags, tag)
        if tag.is_private:
            return self._remove(tags, tag, "private")
        if vr is None or tag.element == 0 or tag.group < 8:
            return self._remove(tags, tag, "unknown")
        if parent is None and tag in self.codes and _is_filled(tags, tag):
            return self._set(tags, tag, vr, self.codes[tag], "pseudonym")
        action = self.profile.action(int(tag), vr, self.sop_class, parent) or self._unlisted(tag, vr, mode)
        if action == "C" and not self._can_clean(tag, vr):
            action = self._basic(tag, parent)
        if vr == "SQ" and action != "X":
            return self._sequence(tags, tag, action, mode)
        self._apply(tags, tag, vr, action, parent, scheme)

    def _unlisted(self, tag: BaseTag, vr: str, mode: str) -> str:
        """The action for an attribute that Table E.1-1 does not name."""
        if vr == "PN":
            return "Z"
        if vr in MOMENTS:
            return {"UNMODIFIED": "K", "MODIFIED": "C", "REMOVED": "D"}[self.profile.dates]
        if vr == "UI":
            is_class = keyword_for_tag(tag).endswith(CLASS_KEYWORDS)
            return "K" if is_class or "uids" in self.profile.options else "U"
        if mode == "clean" and vr in TEXTS - {"CS"}:
            return "C"
        if mode == "dummy" and vr in TEXTS - {"CS"} | FLOATS:
            return "D"
        return "K"

    def _can_clean(self, tag: BaseTag, vr: str) -> bool:
        return vr in CLEANABLE and tag.group & 0xFF00 not in (0x5000, 0x6000) and keyword_for_tag(tag) != "TimezoneOffsetFromUTC"

    def _basic(self, tag: BaseTag, parent: int | None) -> str:
        row = row_of(int(tag))
        return chosen(row.basic, int(tag), self.sop_class, parent) if row else "D"

    def _apply(self, tags: Dataset, tag: BaseTag, vr: str, action: str, parent: int | None, scheme: str) -> None:
        if action == "X":
            return self._remove(tags, tag, "removed")
        if action == "K":
            return self._keep(tags, tag, vr)
        if not _is_filled(tags, tag):
            return None
        if action == "Z":
            return self._set(tags, tag, vr, None, "emptied")
        if action == "U":
            return self._new_uids(tags, tag, vr)
        if action == "C":
            return self._clean(tags, tag, vr, parent, scheme)
        return self._set(tags, tag, vr, self._dummy(tags, tag, vr), "dummy")

    def _sequence(self, tags: Dataset, tag: BaseTag, action: str, mode: str) -> None:
        """Into every item; a sequence to be cleaned or replaced keeps its form, and its text follows."""
        if action == "Z":
            self.log[_name(tag), "emptied"] += len(tags[tag].value) > 0
            tags[tag].value = []
        elif action == "D" and tag == CONTENT_SEQUENCE:
            self._placeholder(tags, tag)
        else:
            if action in "CD":
                self.log[_name(tag), "cleaned" if action == "C" else "dummy"] += 1
            for item in tags[tag].value or []:
                self.over(item, int(tag), {"C": "clean", "D": "dummy"}.get(action, mode))

    def _keep(self, tags: Dataset, tag: BaseTag, vr: str) -> None:
        """Kept, but an age above 89 is 90 and known identifiers go from text; what is not touched stays byte by byte."""
        if vr == "AS":
            return self._each(tags, tag, vr, capped_age, "age above 89 capped")
        if vr in TEXTS:
            return self._each(tags, tag, vr, self.known.taken_out, "known identifier taken out")
        return None

    def _clean(self, tags: Dataset, tag: BaseTag, vr: str, parent: int | None, scheme: str) -> None:
        if vr in MOMENTS:
            return self._each(tags, tag, vr, lambda text: shifted(text, vr, self.days), "shifted", "unreadable, emptied")
        if vr == "AS":
            return self._each(tags, tag, vr, capped_age, "age above 89 capped", "unreadable, emptied")
        if tag in CODE_PARTS and scheme in KNOWN_SCHEMES:
            return self._keep(tags, tag, vr)
        self._each(tags, tag, vr, lambda text: self.known.taken_out(cleaned(text)), "cleaned")
        if not _is_filled(tags, tag):
            row = row_of(int(tag))
            left = chosen(row.basic, int(tag), self.sop_class, parent) if row else "D"
            if left == "X":
                del tags[tag]
            elif left == "D":
                self._set(tags, tag, vr, DUMMIES.get(vr, REMOVED), "dummy")
        return None

    def _each(
        self, tags: Dataset, tag: BaseTag, vr: str, change: Callable[[str], str | None], done: str, failed: str = "emptied"
    ) -> None:
        """Change every value of an attribute by a function of text; unchanged values are left as they are in the file."""
        raw = tags.get_item(tag)
        assert raw is not None
        before = _texts(tags, tag)
        after = [change(text) if text.strip() else text for text in before]
        if after == before:
            tags[tag] = raw
            return
        if any(text is None for text in after):
            return self._set(tags, tag, vr, None, failed)
        self._set(tags, tag, vr, after[0] if len(after) == 1 else after, done)

    def _new_uids(self, tags: Dataset, tag: BaseTag, vr: str) -> None:
        if vr != "UI":
            return self._set(tags, tag, vr, self._dummy(tags, tag, vr), "dummy")
        return self._each(tags, tag, vr, self.secret.uid, "new UID")

    def _dummy(self, tags: Dataset, tag: BaseTag, vr: str) -> Any:
        """A value of the right form that says nothing; as many as there were where the count is the form."""
        if vr == "UI":
            return [self.secret.uid(text) for text in _texts(tags, tag)]
        if vr in FLOATS:
            value = tags[tag].value
            return [0.0] * len(value) if isinstance(value, Sequence | MultiValue) else 0.0
        if vr in BULK:
            return b"\0\0"
        return DUMMIES.get(vr, REMOVED if vr in TEXTS else 0)

    def _placeholder(self, tags: Dataset, tag: BaseTag) -> None:
        """The content of a structured report, replaced by one item that says so (value type TEXT, PS3.3 C.17.3)."""
        concept, item = Dataset(), Dataset()
        concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = "121106", "DCM", "Comment"
        item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
        item.ConceptNameCodeSequence, item.TextValue = [concept], REMOVED
        self._set(tags, tag, "SQ", [item], "dummy")

    def _remove(self, tags: Dataset, tag: BaseTag, done: str) -> None:
        del tags[tag]
        self.log[_name(tag), done] += 1

    def _set(self, tags: Dataset, tag: BaseTag, vr: str, value: Any, done: str) -> None:
        tags[tag] = DataElement(tag, vr, value)
        self.log[_name(tag), done] += 1


def _is_filled(tags: Dataset, tag: BaseTag) -> bool:
    element = tags.get_item(tag)
    if isinstance(element, RawDataElement):
        return bool(element.value)
    return element is not None and not element.is_empty


def _texts(tags: Dataset, tag: BaseTag) -> list[str]:
    value = tags[tag].value
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, MultiValue | list | tuple) else [str(value)]


def _text(tags: Dataset, tag: int) -> str:
    return str(tags[tag].value or "").strip() if tag in tags else ""


def _name(tag: BaseTag) -> str:
    """How the log calls an attribute: its number and its keyword, with repeating and private groups gathered."""
    if tag.is_private:
        return f"({tag.group:04x},xxxx) private"
    if tag.group & 0xFF00 in (0x5000, 0x6000) and not tag.group & 1:
        return f"({tag.group >> 8:02x}xx,{tag.element:04x})"
    return f"({tag.group:04x},{tag.element:04x}) {keyword_for_tag(tag) or 'unknown'}"
