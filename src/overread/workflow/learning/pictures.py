"""Answered pictures, written case by case while a network reads: a cohort of them would not fit into memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from overread.core.kinds import Picture
from overread.core.question import Question
from overread.evaluation.sources.pictures_file import write_picture


class PictureWriter:
    """Writes the answers of one partition into a folder of their own; they are moved to their place at the end."""

    def __init__(self, folder: Path, question: Question, *, is_phantom: bool) -> None:
        self.folder, self.question, self.is_phantom = Path(folder), question, is_phantom
        shutil.rmtree(self.folder, ignore_errors=True)  # what an interrupted reading left

    def write(self, case_id: str, answer: Picture) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_picture(self.folder, case_id, answer, self.question, is_phantom=self.is_phantom)

    def finish(self, answers: Path) -> None:
        """Move the pictures to where `evaluate` finds them."""
        answers.mkdir(parents=True, exist_ok=True)
        if self.folder.is_dir():
            for path in sorted(self.folder.iterdir()):
                os.replace(path, answers / path.name)
            self.folder.rmdir()
