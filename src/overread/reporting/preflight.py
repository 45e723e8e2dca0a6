"""The preflight page: one case taken through the whole chain, to be looked at before hours are spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from overread.core.image import Image
from overread.core.kinds import Kind
from overread.record.files import write_text
from overread.reporting.charts.sizes import size_chart
from overread.reporting.page import environment
from overread.reporting.pictures.figures import case_panel
from overread.reporting.pictures.prepared import example_grid, prepared_panel
from overread.reporting.pictures.prepared_objects import ObjectsShown, object_grid, object_panel
from overread.reporting.sections.planning import plan_rows, value_words
from overread.reporting.words import question_sentence

_EXPECTED = {
    "seconds_per_step": "Seconds per training step",
    "memory_gib": "Memory needed (GiB)",
    "parameters": "Weights of the network",
    "steps_in_a_minute": "Steps in a minute",
}
Example = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class ObjectPages:
    """What the page shows of a question of objects.

    prepared  the case as the network gets it
    examples  what the network is shown, the first without augmentation
    sizes, steps, anchors  as in `size_chart`
    """

    prepared: ObjectsShown
    examples: Sequence[ObjectsShown]
    sizes: Mapping[str, Sequence[float]]
    steps: Sequence[float]
    anchors: Sequence[float]


def write_preflight(
    path: Path,
    *,
    case_id: str,
    image: Image,
    truth: Kind | None,
    prepared: np.ndarray,
    prepared_label: np.ndarray | None,
    examples: Sequence[Example],
    plan: Mapping[str, Any],
    is_phantom: bool,
    objects: ObjectPages | None = None,
) -> Path:
    """Write the page whole, or not at all; returns its path.

    image           the case as it came through the door
    prepared        (C, Z, Y, X) float, what preparation made of it
    prepared_label  (Z, Y, X) integers on the prepared grid; None where the task has no mask
    examples        what the network is shown: (C, Z, Y, X) float with its label, the first without augmentation
    plan            plan.toml as a dictionary, with "reasons" and "expected"
    objects         questions of objects: shown in place of labels
    """
    after, shown = f"Case {case_id} as the network gets it", "Examples for the network; the first without augmentation"
    pictures = {"before": case_panel(image, truth, None, title=f"Case {case_id} as it came in", is_phantom=is_phantom)}
    if objects is None:
        pictures["after"] = prepared_panel(prepared, prepared_label, after, is_phantom=is_phantom)
        pictures["examples"] = example_grid(examples, shown, is_phantom=is_phantom)
    else:
        pictures["after"] = object_panel(objects.prepared, after, is_phantom=is_phantom)
        pictures["examples"] = object_grid(objects.examples, shown, is_phantom=is_phantom)
    expected = plan.get("expected") or {}
    page = (
        environment()
        .get_template("preflight.html.j2")
        .render(
            case_id=case_id,
            pictures=pictures,
            sizes=Markup(size_chart(objects.sizes, objects.steps, objects.anchors)) if objects is not None else "",
            sentence=question_sentence(plan["question"]),
            facts=_image_facts(image),
            expected=[
                (_EXPECTED.get(key, key.replace("_", " ")), value_words(value))
                for key, value in expected.items()
                if key != "stages"
            ],
            plan=plan_rows(plan),
            is_phantom=is_phantom,
        )
    )
    write_text(path, page)
    return Path(path)


def _image_facts(image: Image) -> list[tuple[str, str]]:
    grid = image.grid
    low, high = float(np.min(image.array)), float(np.max(image.array))
    spacing = (
        value_words([round(s, 3) for s in grid.spacing], "mm") if grid.spacing_known else "not known: the format carries none"
    )
    return [
        ("Channels", ", ".join(image.channels)),
        ("Voxels (Z, Y, X)", value_words(list(grid.shape))),
        ("Spacing (Z, Y, X)", spacing),
        ("Values", f"{low:.4g} to {high:.4g} {image.units}"),
    ]
