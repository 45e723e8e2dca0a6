"""Shows a phantom's SEG and SR in OHIF, an independent viewer, and photographs it: docs/images/ohif_seg_sr.png.

    npm pack @ohif/app && tar xzf ohif-app-*.tgz      # the viewer: the folder package/dist
    npm install playwright-core                       # drives the browser
    python scripts/ohif_picture.py package/dist docs/images/ohif_seg_sr.png

Needs Orthanc with its DICOMweb plugin, Chromium and Node (Debian: orthanc orthanc-dicomweb chromium nodejs).
"""

from __future__ import annotations

import http.server
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from overread.core.kinds import Boxes
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.seg import write_seg
from overread.imaging.dicom.sr import write_sr
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.dicom.write_common import Algorithm
from overread.imaging.labels import open_seg
from overread.workflow.phantom import phantom

ROOT = Path(__file__).resolve().parents[1]
LESION = "metastasis"
DRIVER = Path(__file__).with_suffix(".mjs")
CONFIG = """window.config = { routerBasename: '/', showStudyList: true, extensions: [], modes: [], customizationService: {},
  maxNumberOfWebWorkers: 2, showLoadingIndicator: true, showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false,
  strictZSpacingForVolumeViewport: true, defaultDataSourceName: 'dicomweb',
  dataSources: [{ namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb', configuration: {
    friendlyName: 'archive', name: 'archive', wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
    qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
    supportsFuzzyMatching: false, supportsWildcard: true, omitQuotationForMultipartRequest: true,
    bulkDataURI: { enabled: true, relativeResolution: 'studies' } } }] };"""


def main() -> None:
    viewer, picture = Path(sys.argv[1]), Path(sys.argv[2])
    sys.path.insert(0, str(ROOT / "tests"))
    from imaging.orthanc import running_orthanc

    with tempfile.TemporaryDirectory() as name, running_orthanc(Path(name) / "archive") as archive:
        study = make_study(Path(name), archive.web)
        server = serve(viewer, archive.url)
        page = f"http://127.0.0.1:{server.server_address[1]}"
        shot = Path(name) / "ohif.png"
        try:
            subprocess.run(["node", str(DRIVER), page, study, str(shot)], check=True)
        finally:
            server.shutdown()
        join([shot.with_name(f"ohif_{modality}.png") for modality in ("SEG", "SR")], picture)


def make_study(folder: Path, web: str) -> str:
    """Write and store a phantom CT, its SEG, and a report with a box around its largest lesion; returns the study's UID."""
    phantom(folder / "phantom", patients=4, size=192, slices=40, workers=1)
    for series in sorted((folder / "phantom/images").iterdir()):
        files = sorted(series.glob("*.dcm"))
        image = open_dicom(files)
        truth = open_seg(folder / f"phantom/seg/{series.name}.dcm", image.grid)
        if LESION in truth.names:
            break
    objects, count = ndimage.label(truth.mask(LESION))
    largest = 1 + int(np.argmax(np.bincount(objects.reshape(-1), minlength=count + 1)[1:]))
    where = ndimage.find_objects(objects)[largest - 1]
    corners = np.array([[[s.start - 0.5 for s in where], [s.stop - 0.5 for s in where]]])
    algorithm = Algorithm("phantom-truth", "1")
    boxes = Boxes(corners, (LESION,), np.array([0.97]), image.grid)
    made = [
        write_seg(folder / "seg.dcm", truth, files, description="liver, metastasis", algorithm=algorithm).written.path,
        write_sr(folder / "sr.dcm", boxes, files, image.grid, description="metastasis", algorithm=algorithm).path,
    ]
    store([*files, *made], web)
    return read_header(files[0]).study_uid


def join(shots: list[Path], picture: Path) -> None:
    """Two photographs of the page one above the other."""
    pictures = [Image.open(shot).convert("RGB") for shot in shots]
    width, height = pictures[0].size
    joined = Image.new("RGB", (width, height * len(pictures)))
    for k, each in enumerate(pictures):
        joined.paste(each, (0, k * height))
    joined.resize((width * 2 // 3, height * len(pictures) * 2 // 3)).save(picture, optimize=True)


def store(paths: list[Path], web: str) -> None:
    """STOW-RS of files as they are."""
    mark = "overread-picture"
    head = f"--{mark}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + path.read_bytes() + b"\r\n" for path in paths) + f"--{mark}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={mark}'
    request = urllib.request.Request(
        f"{web}/studies", body, {"Content-Type": kind, "Accept": "application/dicom+json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200, answer.status


def serve(viewer: Path, archive: str) -> http.server.ThreadingHTTPServer:
    """The viewer's files, and the archive under /dicom-web, from one address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *parts: object) -> None:
            super().__init__(*parts, directory=str(viewer))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/dicom-web"):
                self._forward()
            elif path == "/app-config.js":
                self._answer(200, "text/javascript", CONFIG.encode())
            else:
                if not (viewer / path.lstrip("/")).is_file():
                    self.path = "/index.html"
                super().do_GET()

        def do_POST(self) -> None:
            self._forward()

        def _forward(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            headers = {k: v for k, v in self.headers.items() if k.lower() in ("accept", "content-type")}
            request = urllib.request.Request(archive + self.path, body, headers, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self._answer(answer.status, answer.headers.get("Content-Type", ""), answer.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, "text/plain", error.read())

        def _answer(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    main()
