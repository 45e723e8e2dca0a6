"""Where the first model found its structure in each case of a cohort: found once from images alone, kept beside the cohort."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from overread.core.region import Region, RegionBox
from overread.record.files import read_json, write_json

FORMAT = 1


def regions_path(project_dir: Path) -> Path:
    return Path(project_dir) / "cohort" / "regions.json"


def read_regions(project_dir: Path, cohort: str) -> dict[str, RegionBox]:
    """case_id -> box; empty where no first model has read this version of the cohort.

    cohort  its digest: an image that was replaced has another region
    """
    path = regions_path(project_dir)
    if not path.exists():
        return {}
    values = read_json(path)
    if values["cohort"] != cohort:
        return {}
    of = Region(**values["region"])
    return {
        case_id: RegionBox(of, _three(row["start"]), _three(row["stop"]), bool(row["found"]))
        for case_id, row in values["boxes"].items()
    }


def write_regions(project_dir: Path, cohort: str, of: Region, boxes: Mapping[str, RegionBox]) -> None:
    rows = {
        case_id: {"start": list(box.start), "stop": list(box.stop), "found": box.is_found}
        for case_id, box in sorted(boxes.items())
        if box.of == of
    }
    write_json(regions_path(project_dir), {"format": FORMAT, "cohort": cohort, "region": of.as_dict(), "boxes": rows})


def _three(values: list[int]) -> tuple[int, int, int]:
    z, y, x = (int(v) for v in values)
    return z, y, x
