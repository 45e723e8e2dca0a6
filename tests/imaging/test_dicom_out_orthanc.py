"""Through a real archive and back: by C-STORE, and by STOW-RS and WADO-RS."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from imaging.answers import ALGORITHM, boxes, ct, heat, instances
from imaging.orthanc import Orthanc
from imaging.test_dicom_out_sr import boxes_of
from overread.core.image import Image
from overread.imaging.dicom.outputs import OBJECTS, Answered, write_objects
from overread.imaging.dicom.write_common import Written
from overread.imaging.labels import open_seg

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def made(tmp_path: Path) -> tuple[list[Path], Image, list[Written]]:
    files, image = ct(tmp_path / "ct", StudyInstanceUID=f"1.2.3.{abs(hash(tmp_path)) % 10**9}")
    answered = Answered("a", instances(image.grid), image, files, ALGORITHM, maps=(heat(image.grid),))
    written, _ = write_objects(tmp_path / "out", answered, OBJECTS)
    more, _ = write_objects(tmp_path / "out", Answered("b", boxes(image.grid), image, files, ALGORITHM), ["sr"])
    return files, image, [*written, *more]


def send(archive: Orthanc, paths: list[Path]) -> None:
    """C-STORE, as a scanner or a workstation does."""
    from pynetdicom import AE, evt

    def hurry(event: evt.Event) -> None:
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    sender = AE("OVERREAD")
    for tags in (pydicom.dcmread(path, stop_before_pixels=True) for path in paths):
        sender.add_requested_context(tags.SOPClassUID, [ExplicitVRLittleEndian])
        sender.add_requested_context(tags.SOPClassUID, [RLELossless])
    association = sender.associate("127.0.0.1", archive.port, ae_title="ORTHANC", evt_handlers=[(evt.EVT_CONN_OPEN, hurry)])
    assert association.is_established
    try:
        for path in paths:
            assert association.send_c_store(path).Status == 0, path.name
    finally:
        association.release()


def check(returned: dict[str, Path], files: list[Path], image: Image, written: list[Written]) -> None:
    """What came back is what was sent: masks voxel for voxel, boxes, numbers, pictures."""
    by_kind = {each.path.name: each for each in written}
    seg = open_seg(returned[by_kind["a_seg.dcm"].sop_uid], image.grid)
    answer = instances(image.grid)
    for k, name in enumerate(seg.names):
        np.testing.assert_array_equal(seg.mask(name), answer.mask(k))
    back = boxes_of(returned[by_kind["b_sr.dcm"].sop_uid], files, image.grid)
    np.testing.assert_allclose(back.corners, boxes(image.grid).corners, atol=1e-4)
    for each in written:
        sent, got = pydicom.dcmread(each.path), pydicom.dcmread(returned[each.sop_uid])
        if "PixelData" in sent or "FloatPixelData" in sent:
            np.testing.assert_array_equal(got.pixel_array, sent.pixel_array)
        assert got.get("ContentSequence") == sent.get("ContentSequence")
        assert got.SeriesDescription == sent.SeriesDescription


def test_c_store_and_back(orthanc: Orthanc, made: tuple[list[Path], Image, list[Written]], tmp_path: Path) -> None:
    pytest.importorskip("pynetdicom")
    files, image, written = made
    send(orthanc, [*files, *(each.path for each in written)])
    send(orthanc, [each.path for each in written])  # again: nothing doubles
    returned = {}
    for each in written:
        path = tmp_path / "back" / f"{each.sop_uid}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(orthanc.find(each.sop_uid))
        returned[each.sop_uid] = path
    check(returned, files, image, written)


def test_stow_and_wado(orthanc: Orthanc, made: tuple[list[Path], Image, list[Written]], tmp_path: Path) -> None:
    client_module = pytest.importorskip("dicomweb_client.api")
    files, image, written = made
    client = client_module.DICOMwebClient(orthanc.web)
    answer = client.store_instances([pydicom.dcmread(path) for path in [*files, *(each.path for each in written)]])
    assert len(answer.get("FailedSOPSequence") or ()) == 0
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    returned = {}
    for tags in client.retrieve_study(study, media_types=(("application/dicom", "*"),)):
        path = tmp_path / "back" / f"{tags.SOPInstanceUID}.dcm"
        path.parent.mkdir(exist_ok=True)
        buffer = io.BytesIO()
        tags.save_as(buffer)
        path.write_bytes(buffer.getvalue())
        returned[str(tags.SOPInstanceUID)] = path
    assert len(returned) == len(files) + len(written)
    check(returned, files, image, written)
