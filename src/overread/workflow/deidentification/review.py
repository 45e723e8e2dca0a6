"""The page on which a person looks for text in pixels, and the file of regions that can be blackened."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overread.imaging.deidentify.settings import Done
from overread.record.files import write_json, write_text

MOST_PICTURES = 400  # of listed images, and as many of the others, one per series
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;
margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}.note{background:#fff4d6;border-left:4px solid #d69e00;
padding:.6rem 1rem}
.sheet{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;width:256px}img{display:block;max-width:256px;background:#000}
figcaption{font-size:.8rem;overflow-wrap:anywhere}"""


@dataclass
class Review:
    """Gathers what a person should see; keeps a bounded number of pictures.

    listed  images with a reason;  others  one image of each series without one
    """

    listed: list[tuple[Done, bytes]] = field(default_factory=list)
    others: dict[str, tuple[Done, bytes]] = field(default_factory=dict)
    listed_series: set[str] = field(default_factory=set)
    images: int = 0
    images_listed: int = 0
    regions: dict[str, set[tuple[int, int, int, int]]] = field(default_factory=dict)

    def take(self, done: Done) -> None:
        if done.look is None:
            return
        self.images += 1
        if done.look.reasons:
            self.images_listed += 1
            self.listed_series.add(done.series)
            if len(self.listed) < MOST_PICTURES:
                self.listed.append((done, done.look.thumbnail))
            if done.look.boxes and done.format == "dicom":
                self.regions.setdefault(done.series, set()).update(done.look.boxes)
        elif done.series not in self.others and len(self.others) < MOST_PICTURES:
            self.others[done.series] = (done, done.look.thumbnail)

    def write(self, folder: Path) -> None:
        """review.html and regions.json in `folder`."""
        regions = [{"series": series, "boxes": sorted(map(list, boxes))} for series, boxes in sorted(self.regions.items())]
        value: dict[str, Any] = {"format": 1, "regions": regions}
        write_json(folder / "regions.json", value)
        write_text(folder / "review.html", self._page())

    def _page(self) -> str:
        others = [pair for series, pair in sorted(self.others.items()) if series not in self.listed_series]
        return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Review of pixels</title>
<style>{STYLE}</style></head><body>
<h1>Does text stand in these pixels?</h1>
<p class="note"><b>Needs review.</b> Nothing here is called clean. The regions in yellow are proposals
of a simple method; it can miss text. Look at every picture, and at the images themselves where it is too small.</p>
<p>{self.images} images were looked at; {self.images_listed} are listed in {len(self.listed_series)} series.
Regions to be blackened stand in regions.json beside this page: correct them and run again with
<code>--mask regions.json</code> and the same <code>--link</code>. When nothing identifying is left:
<code>overread deidentify OUT --confirm</code>.</p>
<h2>Listed: {len(self.listed)} of {self.images_listed} shown</h2>
<div class="sheet">{_figures(self.listed)}</div>
<h2>Not listed: one image of each of {len(others)} series</h2>
<div class="sheet">{_figures(others)}</div></body></html>
"""


def _figures(pairs: Iterable[tuple[Done, bytes]]) -> str:
    return "\n".join(_figure(done, picture) for done, picture in pairs)


def _figure(done: Done, picture: bytes) -> str:
    assert done.look is not None
    shown = f'<img alt="" src="data:image/png;base64,{base64.b64encode(picture).decode()}">' if picture else "<p>no picture</p>"
    words = [done.modality, *done.look.reasons, *(f"[{', '.join(map(str, box))}]" for box in done.look.boxes[:6]), done.written]
    return f"<figure>{shown}<figcaption>{html.escape(' · '.join(word for word in words if word))}</figcaption></figure>"
