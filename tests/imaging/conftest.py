"""Fixtures of this room's tests."""

from __future__ import annotations

from imaging.orthanc import orthanc

__all__ = ["orthanc"]
