"""Images made of chest films of 28 pixels: VAE, WGAN-GP, diffusion, the same minutes each, and MONAI's diffusion beside them.

    python benchmarks/generative_pneumonia.py                          # 10 minutes each, three seeds for the best
    python benchmarks/generative_pneumonia.py --minutes 1 --count 100 --seeds 0

PneumoniaMNIST (Yang et al., Scientific Data 10, 41, 2023), official split; made images are compared with the official validation
part, which Overread calls tuning. All makers are judged by one network, an encoder that learned without labels from the training
films; its distances mean nothing beside those of other papers. What real images get is the floor. The test stays sealed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import plain_monai_diffusion as peer
from common import WORK, Started, numbers, parser, run, say_result, shared_data, spread_of, table, write_result
from medmnist import COLLECTIONS
from runs import interval_text, train_or_resume

import overread
from overread.cli.progress import reporter
from overread.cohort.load import load_image
from overread.core.grid import Grid
from overread.core.image import Image
from overread.evaluation.generation.judge import Real, judge
from overread.evaluation.rules import Rules
from overread.record.files import read_json, write_json
from overread.workflow.fidelity import fidelity
from overread.workflow.generation.seen_by import ENCODER, eyes_of
from overread.workflow.project import Project

MAKERS = {"vae": ("vae", "variational_autoencoder"), "wgan-gp": ("synthesize", "wasserstein_gan")}
MAKERS |= {"diffusion": ("synthesize", "diffusion_unet")}
SHOWN = ("fid", "kid", "precision", "recall", "coverage", "diversity")
PEER = "MONAI diffusion"
LEVELS = 255.0


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=10.0, help="of training, for each maker")
    options.add_argument("--encoder-minutes", type=float, default=5.0, help="in which the network that compares learns")
    options.add_argument("--count", type=int, default=500, help="images that each maker makes")
    options.add_argument("--steps", type=int, default=50, help="of a diffusion, from noise to image")
    options.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="of the best maker")
    options.add_argument("--out", type=Path, help="folder of the projects; work/<name> where not given")
    asked = options.parse_args()
    name, started = f"generative-pneumonia-{asked.minutes:g}min", Started()
    home = asked.out or WORK / name
    projects = {task: open_or_init(home / task, task) for task in ("synthesize", "vae")}
    rows = {maker: one(projects, maker, 0, asked) for maker in MAKERS}
    rows[PEER] = of_peer(projects["synthesize"], home / "peer.json", asked)
    best = min(MAKERS, key=lambda maker: rows[maker]["kid"]["estimate"])
    seeds = [rows[best] if seed == 0 else one(projects, best, seed, asked) for seed in asked.seeds]
    spread = {f"kid of {best} over seeds": spread_of([row["kid"]["estimate"] for row in seeds])}
    settings = {key: getattr(asked, key) for key in ("minutes", "encoder_minutes", "count", "steps", "seeds")}
    figures = {"makers": rows, "best": best, "seeds": seeds}
    path = write_result(name, started, settings=settings, figures=figures, spread=spread)
    say_result(path, [*lines_of(rows), "", f"Best: {best}; over seeds {spread}", f"Real: {rows['diffusion']['floor']}"])


def open_or_init(folder: Path, task: str) -> Project:
    if (folder / "project.toml").exists():
        return Project.open(folder)
    collection = COLLECTIONS["pneumonia"]
    images = shared_data() / "medmnist" / collection.file
    return overread.init(folder, images=images, task=task, leak_override=collection.leak)


def one(projects: dict[str, Project], maker: str, seed: int, asked: Any) -> dict[str, Any]:
    """Train one maker and judge what it makes; the encoder is that of the project of synthesis."""
    task, network = MAKERS[maker]
    run_name = f"{network}-{seed}"
    overrides = {"training.seed": str(seed), "training.architecture": network}
    took = train_or_resume(projects[task], run_name, asked.minutes, overrides=overrides)
    eyes_of(projects["synthesize"], "", asked.encoder_minutes, None, reporter())
    seen_by = str(projects["synthesize"].run(ENCODER).path)
    steps = asked.steps if network == "diffusion_unet" else None
    found = fidelity(projects[task], run_name, asked.count, features=seen_by, steps=steps, progress=reporter())
    return {**figures_of(found["fidelity"]), "memory": found["memory"]["sentence"], "page": run_name, **took}


def figures_of(found: dict[str, Any]) -> dict[str, Any]:
    return {row["metric"]: row["interval"] for row in found["scores"]} | {"floor": found["floor"], "n_real": found["n_real"]}


def of_peer(project: Project, kept: Path, asked: Any) -> dict[str, Any]:
    """MONAI's network, trained for as long on the same films, judged by the same eyes."""
    if kept.exists():
        return dict(read_json(kept))
    cohort = project.cohort()
    films = {part: [load_image(cohort, case) for case in cohort.of(part)] for part in ("training", "tuning")}
    trained = peer.train(np.stack([film.array[0, 0] for film in films["training"]]) / LEVELS, asked.minutes)
    made = peer.make(trained, asked.count, films["training"][0].array.shape[-1], asked.steps)
    eyes = eyes_of(project, "", asked.encoder_minutes, None, reporter())
    real = {
        part: Real(eyes.features(films[part][:2000]), tuple(case.patient_id for case in cohort.of(part)[:2000])) for part in films
    }
    images = [Image(LEVELS * each[None, None].astype(np.float32), _grid(each), "a.u.") for each in made]
    found = judge(real["tuning"], eyes.features(images), Rules(), network=eyes.words, floor=real["training"])
    row = {**figures_of(found), "minutes": round(trained.minutes, 2), "steps": trained.steps}
    write_json(kept, row)
    return row


def _grid(picture: np.ndarray) -> Grid:
    return Grid.from_spacing((1, *picture.shape), (1.0, 1.0, 1.0), spacing_known=False, is_planar=True)


def lines_of(rows: dict[str, dict[str, Any]]) -> list[str]:
    cells = [[maker, *(interval_text(row[key]) for key in SHOWN), row["steps"]] for maker, row in rows.items()]
    return table(["maker", *SHOWN, "steps"], cells)


if __name__ == "__main__":
    run(main)
