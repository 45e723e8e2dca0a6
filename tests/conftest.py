"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # toy networks gain nothing from threads, and workers would fight over cores

import pluggy
import pytest
from hypothesis import HealthCheck, settings

from overread.record import workers

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


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[list[str]]]:
    """While it is open, two processes share all work that may be shared, however little there is; told is for what."""

    @contextmanager
    def shared() -> Iterator[list[str]]:
        asked: list[str] = []

        def noted(count: int, doing: str) -> AbstractContextManager[ProcessPoolExecutor]:
            asked.append(doing)
            return opened(count, doing)

        with monkeypatch.context() as patched:
            opened = workers.workers
            patched.setattr(workers, "WORTH_A_POOL", 0.0)
            patched.setattr(workers, "processors", lambda: 2)
            patched.setattr(workers, "workers", noted)
            yield asked

    return shared


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real radiology data: ``../shared/data`` or ``$OVERREAD_DATA``."""
    given = os.environ.get("OVERREAD_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set OVERREAD_DATA to its place")
    return folder
