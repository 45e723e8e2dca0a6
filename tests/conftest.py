"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # toy networks gain nothing from threads, and workers would fight over cores

import pluggy
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("overread", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no test measures time
settings.load_profile("overread")


BY_CHANCE = "by chance"  # how the reason of a skip begins that lacks nothing


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pluggy.Result[pytest.TestReport]]:
    """What a user's machine lacks skips a test with its reason; in continuous integration nothing may lack."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")
        if not reason.startswith(BY_CHANCE):
            report.outcome = "failed"
            report.longrepr = f"skipped in continuous integration, where nothing may lack: {reason}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real radiology data: ``../shared/data`` or ``$OVERREAD_DATA``."""
    given = os.environ.get("OVERREAD_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set OVERREAD_DATA to its place")
    return folder
