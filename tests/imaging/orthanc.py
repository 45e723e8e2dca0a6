"""A real archive (Orthanc) on this machine, started once for all tests that ask for it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SECONDS_TO_START = 20


@dataclass(frozen=True)
class Orthanc:
    """A running archive.

    url    of its own REST interface; `web` is DICOMweb
    port   of C-STORE, C-FIND ... under the title ORTHANC
    """

    url: str
    port: int

    @property
    def web(self) -> str:
        return f"{self.url}/dicom-web"

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/{path.lstrip('/')}", timeout=20) as answer:
            content: bytes = answer.read()
        return content

    def find(self, sop_uid: str) -> bytes:
        """The file that holds a SOP instance."""
        query = json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": sop_uid}}).encode()
        request = urllib.request.Request(f"{self.url}/tools/find", data=query, method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: list[str] = json.loads(answer.read())
        assert len(found) == 1, f"{len(found)} instances {sop_uid} in the archive"
        return self.get(f"instances/{found[0]}/file")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def needs(program: str, package: str) -> str:
    """The path of a program; the test is skipped where it is missing."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} (package {package}) is not installed")
    return found


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Orthanc with DICOMweb on a temporary folder and free ports."""
    needs("Orthanc", "orthanc")
    if not PLUGIN.exists():
        pytest.skip("the DICOMweb plugin of Orthanc (package orthanc-dicomweb) is not installed")
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Start Orthanc on a folder, and end it."""
    folder.mkdir(exist_ok=True)
    http, dicom = _free_port(), _free_port()
    settings: dict[str, Any] = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "SyncStorageArea": False,
        "OverwriteInstances": True,
        "StableAge": 1,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "UnknownSopClassAccepted": True,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "conf.json").write_text(json.dumps(settings))
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["Orthanc", str(folder / "conf.json")],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TCP_NODELAY": "1"},  # without it every C-STORE waits for a delayed acknowledgement
        )
    archive = Orthanc(f"http://127.0.0.1:{http}", dicom)
    try:
        _wait(archive, process, log)
        yield archive
    finally:
        process.kill()  # its folder is temporary: nothing needs a clean end
        process.wait()


def _wait(archive: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            archive.get("system")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    pytest.fail(f"Orthanc did not start: {log.read_text(errors='replace')[-2000:]}")
