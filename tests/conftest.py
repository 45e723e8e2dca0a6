"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # toy networks gain nothing from threads, and workers would fight over cores

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("overread", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no test measures time
settings.load_profile("overread")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real radiology data: ``../shared/data`` or ``$OVERREAD_DATA``."""
    given = os.environ.get("OVERREAD_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs the shared data; {folder} is missing")
        pytest.skip(f"no shared data at {folder}; set OVERREAD_DATA to its place")
    return folder
