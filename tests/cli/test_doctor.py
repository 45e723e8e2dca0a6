"""overread doctor, with and without torch."""

from __future__ import annotations

import json

import pytest

from overread.cli.main import main
from overread.workflow import doctor as room


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = room._product_gflops
    monkeypatch.setattr(room, "_product_gflops", lambda device, dtype, size, seconds: measured(device, dtype, 256, 0.001))


def test_doctor_for_programs(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    assert main(["doctor", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["packages"]["base"]["pydicom"]
    assert [codec["problem"] for codec in found["codecs"]] == [""] * len(room.CODECS)
    assert found["devices"][-1]["device"] == "cpu"
    assert found["speed"][-1]["gflops"]["float32"] > 0
    assert found["disk_free_gib"] > 0


def test_doctor_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "matrix products: float32" in told
    assert "JPEG-LS" in told


def test_without_torch_the_doctor_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = room._version
    monkeypatch.setattr(room, "torch", None)
    monkeypatch.setattr(room, "_version", lambda package: None if package in room.LEARN else real(package))
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "torch MISSING" in told
    assert "not looked at, torch is not installed" in told
    assert "needed to learn and to read with a model: torch, torchvision" in told
    assert told.rstrip().endswith("Next: pip install 'overread[learn]'")


def test_a_codec_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CODECS", (("pyjpegls", "no_such_module", "JPEG-LS"),))
    found = room.doctor()
    assert found["missing"][0] == {
        "what": "JPEG-LS by pyjpegls: No module named 'no_such_module'",
        "remedy": "pip install --force-reinstall pyjpegls",
    }


def test_little_disk_and_memory_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LITTLE_DISK_GIB", 1e9)
    monkeypatch.setattr(room, "LITTLE_MEMORY_GIB", 1e9)
    remedies = [line["what"] for line in room.doctor()["missing"]]
    assert any("of disk are free" in what for what in remedies)
    assert any("of memory are free" in what for what in remedies)
