"""The walls between the rooms: what import-linter does not check."""

from __future__ import annotations

from pathlib import Path

import grimp
import pytest

import overread

ROOMS = sorted(path.parent.name for path in Path(overread.__file__).parent.glob("*/__init__.py"))


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("overread", exclude_type_checking_imports=True, cache_dir=None)


def circle(links: dict[str, set[str]]) -> list[str]:
    """One circle in a graph of imports, [] where there is none."""
    done: set[str] = set()

    def visit(file: str, above: list[str]) -> list[str]:
        if file in above:
            return [*above[above.index(file) :], file]
        if file in done:
            return []
        for other in sorted(links[file]):
            if found := visit(other, [*above, file]):
                return found
        done.add(file)
        return []

    return next((found for file in sorted(links) if (found := visit(file, []))), [])


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("room", ROOMS)
def test_files_of_a_room_do_not_import_each_other_in_circles(graph: grimp.ImportGraph, room: str) -> None:
    files = {f"overread.{room}", *graph.find_descendants(f"overread.{room}")}
    links = {file: graph.find_modules_directly_imported_by(file) & files for file in files}
    assert circle(links) == [], f"imports in a circle: {' -> '.join(circle(links))}"
