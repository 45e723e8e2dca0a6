"""A map of values (probability, heat map) to a DICOM parametric map: 32-bit numbers, exactly as they were computed.

Source: DICOM PS3.3 A.75 (Parametric Map IOD) and C.7.6.16.2.11 (Real World Value Mapping), written through highdicom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.sr.codedict import codes

from overread.core.errors import Refused
from overread.core.kinds import Map
from overread.imaging.dicom.codes import PRIVATE_SCHEME, Code, concept_of, private_notes
from overread.imaging.dicom.evidence import Evidence, read_evidence
from overread.imaging.dicom.seg import restore_frames, sources_of
from overread.imaging.dicom.write_common import About, Algorithm, Written, build, coded, digest_of, finish

SERIES_NUMBER = 930
PROBABILITY = Code("122157", "DCM", "Probability")
LABEL_LENGTH = 16  # LUT Label, value representation SH
VERDICTS = {
    "passed": "passed its trial",
    "failed": "FAILED ITS TRIAL",
    "incomplete": "trial incomplete",
    "not tried": "not tried",
}


def write_parametric_map(
    path: Path,
    values: Map,
    source_files: Sequence[Path],
    *,
    algorithm: Algorithm | str = "Overread model",
    structure_codes: Mapping[str, Code] | None = None,
    evidence: Evidence | None = None,
) -> Written:
    """Write one map, frame by frame as its source images.

    values  (Z, Y, X) on the grid of the source series; interpolated slices have no source and are left out
    """
    if not np.isfinite(values.array).all():
        what = f"The map of {values.target} holds NaN or infinity."
        raise Refused("not-finite", what, "write finite values")
    made_by = algorithm if isinstance(algorithm, Algorithm) else Algorithm(algorithm)
    evidence = evidence or read_evidence(source_files, values.grid)
    if evidence.frames[0].plane is None:
        what = f"{evidence.first.name} has no position in the patient, which a parametric map must have (PS3.3 A.75.5)."
        raise Refused("no-geometry", what, "write the map as a picture (sc) or as a fractional segmentation")
    pixels = np.stack([frame.take(values.array) for frame in evidence.frames]).astype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    if values.method == "probability":
        low, high = min(low, 0.0), max(high, 1.0)
    content = digest_of(values.array, values.method, values.target)
    words = f"{values.method}{_judged(values)} of {values.target}"
    about = About("MAP", evidence, made_by, words, SERIES_NUMBER, content)
    concept = concept_of(values.target, structure_codes)

    def make() -> ParametricMap:
        mapping = RealWorldValueMapping(
            lut_label=values.target[:LABEL_LENGTH],
            lut_explanation=words[:64],
            unit=codes.UCUM.NoUnits,
            value_range=(low, high),
            slope=1.0,
            intercept=0.0,
            quantity_definition=coded(_quantity(values.method)),
        )
        return ParametricMap(
            source_images=sources_of(evidence),
            pixel_array=pixels,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[mapping],
            window_center=(low + high) / 2,
            window_width=max(high - low, 1e-6),
            **about.identity(),
            **about.equipment(),
        )

    made = build("parametric map", evidence, make)
    restore_frames(made, evidence)
    return finish(made, about, path, private_notes({values.target: concept}), [values.target, values.method])


def _judged(values: Map) -> str:
    """What the trial of the method came to, where the map says it: one that is not to be believed says so in every list."""
    verdict = values.verdicts.get("trial")
    return f" ({VERDICTS[verdict]})" if verdict in VERDICTS else ""


def _quantity(method: str) -> Code:
    if method == "probability":
        return PROBABILITY
    value = "".join(c if c.isascii() and c.isalnum() else "_" for c in method.upper())[:16]
    return Code(value or "MAP", PRIVATE_SCHEME, method[:64] or "map")
