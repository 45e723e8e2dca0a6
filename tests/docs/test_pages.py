"""Every command of README, tutorials and how-to pages runs, in order, in a folder as the reader of that page has it.

Only the amount of computing is changed (`docs.quick`): minutes and epochs of training, its patches, how often it is
repeated. Data are tiny (`docs.worlds`). A page that is new needs a world in PAGES, or `test_every_page...` fails.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from docs import worlds
from docs.pages import ROOT, Step, all_pages, calls, name, steps
from docs.quick import quick, quick_python, run, write_settings
from docs.worlds import Stock

FAULTS_FOUND = 3  # exit code of `overread audit`; counts as done where the page says what it means


@dataclass(frozen=True)
class Page:
    """How a page is followed.

    world     fills the folder before the first command
    settings  words of a TOML block -> the project into whose `project.toml` the reader writes it; other blocks are examples
    """

    world: Callable[[Path, Stock], None]
    settings: Mapping[str, str] = field(default_factory=dict)


PAGES = {
    "README.md": Page(worlds.liver_cohort),
    "docs/tutorial/first-model.md": Page(worlds.empty),
    "docs/tutorial/your-own-studies.md": Page(worlds.new_films, {"threshold_rule": "pneumonia", "hypothesis": "pneumonia"}),
    "docs/explanation/blocks.md": Page(worlds.pneumonia_project, {'"self_attention heads=4"': "pneumonia"}),
    "docs/explanation/generative-networks.md": Page(worlds.empty),
    "docs/how-to/ablate.md": Page(worlds.liver_project),
    "docs/how-to/audit-a-cohort.md": Page(worlds.films_and_split),
    "docs/how-to/baseline.md": Page(worlds.pneumonia_project),
    "docs/how-to/cascade.md": Page(worlds.liver_and_lesions, {"margin_mm": "lesions"}),
    "docs/how-to/change-a-setting.md": Page(worlds.liver_project),
    "docs/how-to/choose-a-network.md": Page(worlds.pneumonia_project, {'architecture = "composed"': "pneumonia"}),
    "docs/how-to/choose-among-series.md": Page(worlds.several_series),
    "docs/how-to/clinical-variables.md": Page(worlds.films_with_values, {"clinical": "pneumonia"}),
    "docs/how-to/combine.md": Page(worlds.liver_and_detector),
    "docs/how-to/compare-models.md": Page(worlds.evaluations),
    "docs/how-to/compare-readers.md": Page(worlds.reads),
    "docs/how-to/detect.md": Page(worlds.nodules_drawn, {"false_positives": "nodules"}),
    "docs/how-to/deidentify.md": Page(worlds.names_in_headers),
    "docs/how-to/evaluate-predictions.md": Page(worlds.predictions),
    "docs/how-to/external-cohort.md": Page(worlds.two_hospitals),
    "docs/how-to/find-anomalies.md": Page(worlds.normal_films),
    "docs/how-to/grouped-folds.md": Page(worlds.liver_cohort),
    "docs/how-to/label-next.md": Page(worlds.liver_to_label),
    "docs/how-to/learning-curve.md": Page(worlds.liver_project),
    "docs/how-to/semi-supervised.md": Page(worlds.pneumonia_and_more_films),
    "docs/how-to/pretrain.md": Page(worlds.pneumonia_and_more_films),
    "docs/how-to/do-made-images-help.md": Page(worlds.films_and_maker),
    "docs/how-to/make-images.md": Page(worlds.films_with_labels_and_masks),
    "docs/how-to/codes-of-images.md": Page(worlds.films_with_values),
    "docs/how-to/translate-images.md": Page(worlds.pairs_of_sequences),
    "docs/how-to/restore-images.md": Page(worlds.exams_at_full_dose),
    "docs/how-to/read-with-a-model.md": Page(worlds.liver_model),
    "docs/how-to/results-as-dicom.md": Page(worlds.liver_model),
    "docs/how-to/resume.md": Page(worlds.liver_stopped),
    "docs/how-to/exam-models.md": Page(worlds.empty),
    "docs/how-to/explain.md": Page(worlds.pneumonia_explained),
    "docs/how-to/real-or-fake.md": Page(worlds.films_and_samples),
    "docs/how-to/robustness.md": Page(worlds.liver_project),
    "docs/how-to/search.md": Page(worlds.liver_project),
    "docs/how-to/select-settings.md": Page(worlds.liver_in_folds),
    "docs/how-to/several-images-per-case.md": Page(worlds.several_images, {'missing = "zeros"': "ms"}),
    "docs/how-to/sheet-from-excel.md": Page(worlds.nodules),
    "docs/how-to/take-in-new-patients.md": Page(worlds.liver_and_new_patients),
    "docs/how-to/transfer.md": Page(worlds.pneumonia_project),
    "docs/how-to/use-a-gpu.md": Page(worlds.empty),
    "docs/how-to/write-the-paper.md": Page(worlds.liver_project),
}

# What the commands of a page promise to leave, and a word in it: an exit code alone may hide that nothing was done.
LEFT_BEHIND: dict[str, dict[str, str]] = {
    "README.md": {"answers/answers.csv": "", "answers/*.nii.gz": "", "liver/runs/first/report.html": "PHANTOM"},
    "docs/tutorial/first-model.md": {
        "answers/answers.csv": "P0",
        "answers/*.nii.gz": "",
        "liver/runs/first/preflight.html": "PHANTOM",
        "liver/runs/first/report.html": "PHANTOM",
        "liver/cohort/ledger.jsonl": '"margin": 0.9',
    },
    "docs/tutorial/your-own-studies.md": {
        "pneumonia/runs/longer/evaluation-internal.json": "The AUC for pneumonia is above 0.85",
        "pneumonia/runs/longer/report.html": "",
    },
    "docs/explanation/blocks.md": {"pneumonia/runs/blocks/plan.toml": "squeeze_excitation", "blocks.svg": "<svg"},
    "docs/how-to/translate-images.md": {
        "answers/*.nii.gz": "",
        "as_ge/*.png": "",
        "harmonise/runs/first/fidelity.html": "Do they look like ge?",
    },
    "docs/how-to/audit-a-cohort.md": {"films-audit/audit.html": "", "look/audit.html": "", "liver/audit/audit.json": ""},
    "docs/how-to/baseline.md": {"pneumonia/runs/baseline/baseline.json": ""},
    "docs/how-to/cascade.md": {"lesions/runs/first/evaluation-tuning.json": "stages", "answers/answers.csv": ""},
    "docs/how-to/clinical-variables.md": {
        "pneumonia/runs/fused/explanation.html": "Image and clinical values",
        "answers/answers.json": "crp",
    },
    "docs/how-to/choose-a-network.md": {
        "unet.svg": "transposed",
        "compared.html": "mobilenet_v2",
        "composed.svg": "average of all",
        "pneumonia/chart.html": "Pareto",
    },
    "docs/how-to/combine.md": {
        "liver/runs/weighted/ensemble.json": "second",
        "liver-folds/runs/both/evaluation-tuning.json": "folds",
        "nodules/runs/gated/ensemble.json": "has-nodule",
        "answers/answers.csv": "",
    },
    "docs/how-to/codes-of-images.md": {
        "films-coded/runs/*/latent.html": "number",
        "films-coded/runs/*/latent/codes.csv": "code_1",
    },
    "docs/how-to/compare-readers.md": {"masks/fusion.json": "staple", "masks/*.nii.gz": ""},
    "docs/how-to/deidentify.md": {
        "shared/out/review/review.html": "",
        "shared/out/sheet.csv": "",
        "home/private/link.csv": "P00",
    },
    "docs/how-to/detect.md": {
        "nodules/runs/first/evaluation-tuning.json": "froc",
        "nodules/runs/first/report.html": "FROC",
        "nodules/runs/other/predictions/tuning/objects.json": "score",
        "crowded/metastases/*.nii.gz": "",
    },
    "docs/how-to/do-made-images-help.md": {
        "made/labels.csv": "yes",
        "pneumonia/runs/usefulness/usefulness.html": "On the internal test",
        "pneumonia/cohort/ledger.jsonl": "usefulness/with-0",
    },
    "docs/how-to/external-cohort.md": {"liver/runs/*/evaluation-external*.json": "", "liver-sites/cohort/splits.json": "fold"},
    "docs/how-to/find-anomalies.md": {
        "normals/runs/first/anomaly/pneumonia/anomaly.html": "Abnormal cases that raise the alarm",
        "ranked/regions.csv": "volume_ml",
        "ranked/maps/*.nii.gz": "",
    },
    "docs/how-to/grouped-folds.md": {"liver/runs/five/fold-4/*.overread": "", "liver/runs/five/evaluation-internal.json": ""},
    "docs/how-to/label-next.md": {"liver/cohort/private/label-next.csv": "rank", "liver/labelling.json": "labels_saved"},
    "docs/how-to/learning-curve.md": {"liver/learning-curve.json": "verdict"},
    "docs/how-to/pretrain.md": {
        "pneumonia/runs/with-more/pretraining.json": '"further": 6',
        "pneumonia/learning-curve.json": "weights = run:pretrained",
        "pneumonia/runs/from-pretrained/plan.toml": "run:pretrained",
    },
    "docs/how-to/transfer.md": {"pneumonia/runs/careful/plan.toml": 'freeze = "features"'},
    "docs/how-to/read-with-a-model.md": {"answers/scan.nii.gz": "", "answers/another.nii.gz": ""},
    "docs/how-to/results-as-dicom.md": {"answers/**/*.dcm": ""},
    "docs/how-to/exam-models.md": {
        "answers/answers.csv": "most influential slices",
        "metastases/runs/slices/explanation.html": "Slice weights",
    },
    "docs/how-to/explain.md": {"pneumonia/runs/*/explanation.html": "on trial", "maps/index.html": ""},
    "docs/how-to/real-or-fake.md": {
        "pneumonia/real-or-fake/first/room.html": "Which of these images",
        "pneumonia/real-or-fake/earlier/result.html": "R3",
    },
    "docs/how-to/restore-images.md": {"quarter/runs/first/plan.toml": "low_dose:0.25", "restored/**/*.dcm": ""},
    "docs/how-to/robustness.md": {"liver/runs/*/robustness.json": "rotation"},
    "docs/how-to/ablate.md": {"liver/runs/ablation/ablation.json": "moving average", "liver/runs/*/ablation.html": "PHANTOM"},
    "docs/how-to/search.md": {"liver/runs/searched/search.html": "PHANTOM", "liver/runs/searched/search-trials.jsonl": "done"},
    "docs/how-to/select-settings.md": {"liver/runs/selected/selection.json": "candidates"},
    "docs/how-to/several-images-per-case.md": {"answers/*.nii.gz": "", "ms/cohort/versions.jsonl": "update"},
    "docs/how-to/write-the-paper.md": {"liver/runs/*/methods.txt": "", "liver/runs/*/claim.csv": "", "liver/claim.toml": ""},
}

NOT_RUN_HERE = {
    "overread demo": "test_demo.py runs the demo, on a smaller phantom than anybody can ask for on the command line",
}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    return Stock(tmp_path_factory.mktemp("stock"))


@pytest.mark.parametrize("page", [ROOT / known for known in PAGES], ids=name)
def test_the_commands_of_a_page_run(page: Path, stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = PAGES[name(page)]
    how.world(tmp_path, stock)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    done = {0, FAULTS_FOUND} if f"exit code is {FAULTS_FOUND}" in page.read_text(encoding="utf-8") else {0}
    for step in steps(page):
        follow(step, how, done)
    for pattern, word in LEFT_BEHIND.get(name(page), {}).items():
        found = list(tmp_path.glob(pattern))
        assert found, f"{name(page)}: its commands ran and did not write {pattern}"
        assert not word or word in found[0].read_text(encoding="utf-8", errors="replace"), f"{pattern} does not say {word}"


def follow(step: Step, how: Page, done: set[int]) -> None:
    """Do what a reader does at this place of the page."""
    if step.language == "sh" and step.text.startswith("overread ") and step.text not in NOT_RUN_HERE:
        words = quick(step.text)
        if words[0] == "init":
            clear(Path(words[1]))
        code, said = run(step.text)
        assert code in (done if words[0] == "audit" else {0}), f"{step.text}\nexit code {code}\n{said}"
    elif step.language == "toml":
        for words_of_block, project in how.settings.items():
            if words_of_block in step.text:
                write_settings(Path(project), step.text)
    elif step.language == "python":
        for project in re.findall(r'\.init\("(\w+)"', step.text):
            clear(Path(project))
        exec(compile(quick_python(step.text), "a block of Python", "exec"), {})


def clear(project: Path) -> None:
    """Two ways to make one project stand on one page: the reader takes one of them."""
    if (project / "project.toml").exists():
        shutil.rmtree(project)


def test_every_page_with_commands_is_followed() -> None:
    with_commands = {name(page) for page in all_pages() if calls(page)}
    assert sorted(with_commands - set(PAGES)) == [], "give the page a world in PAGES, so that its commands run"
    assert sorted(set(PAGES) - with_commands) == [], "these pages have no commands any more, or are gone"
    assert set(LEFT_BEHIND) <= set(PAGES)


def test_commands_stand_in_blocks_that_are_followed() -> None:
    """A block of another language, or of none, would be passed over in silence."""
    for page in all_pages():
        other = [step.text for step in steps(page) if step.language != "sh"]
        assert not [text for text in other if re.search(r"^(\$ )?overread ", text, re.MULTILINE)], name(page)


def test_commands_that_are_not_run_are_few_and_still_stand_in_a_page() -> None:
    lines = {line for page in all_pages() for line in calls(page)}
    assert set(NOT_RUN_HERE) <= lines
    assert len(NOT_RUN_HERE) <= 3
