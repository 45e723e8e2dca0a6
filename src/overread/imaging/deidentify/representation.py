"""The value representation of an attribute, without converting its value."""

from __future__ import annotations

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag


def vr_of(tags: Dataset, tag: BaseTag) -> str | None:
    """As the file says; as the dictionary says where the file does not; None for attributes that no dictionary knows."""
    try:
        known = str(dictionary_VR(tag))
    except KeyError:
        return None
    element = tags.get_item(tag)
    given = str(element.VR) if element is not None and element.VR else known
    return known if given == "UN" or " or " in given else given
