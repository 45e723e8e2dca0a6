"""The program `overread`: finds the verb, runs it, and turns errors into words and exit codes.

Exit codes: 0 done, 1 a fault of ours (with its traceback), 2 something you can put right,
3 done, and `overread audit` found faults, 130 stopped by you (what was done is kept).

A verb's file is loaded only when the verb is used, so that `overread --help` starts in a blink.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from overread import __version__
from overread.cli.verb import Session
from overread.core.errors import OverreadError, Stopped

# In the order of the journey.
VERBS = {
    "demo": "Phantom to report in one go: see what Overread does.",
    "phantom": "Make a digital phantom: images with known truth, and planted faults if wanted.",
    "deidentify": "Copy a folder of images without what identifies people.",
    "init": "Make a project from a folder of images and what is known of them.",
    "update": "Take in new patients and corrected labels as a new version of the cohort.",
    "audit": "Look for what would make a score wrong, before anything is trained.",
    "plan": "Look at the training cases and write down how a network will be trained, and why.",
    "train": "Train a network and freeze it as a model.",
    "pretrain": "Let the network learn from images without labels first; a training then begins from its weights.",
    "select": "Choose among ways to train, without the test having any part in it.",
    "search": "Try many settings for a short time each, and train the best: the best model within a budget.",
    "ablate": "Switch one part of a training or of a reading off at a time: what does it add?",
    "usefulness": "Train without and with made images: do they help?",
    "learning-curve": "Would more patients help? Train on parts of the patients and forecast the score at twice as many.",
    "label-next": "Which unlabelled studies should a reader label next, and does that save labels?",
    "ensemble": "Let several trained models answer together, as one run with one model file.",
    "baseline": "Fit a baseline of hand-made features on the same split: what does a network add?",
    "evaluate": "Score a model, or anybody's answers, with intervals.",
    "external": "Take in patients from elsewhere, and let the frozen model read them.",
    "structures": "Does a made image keep the anatomy, or are lesions erased and invented?",
    "anomaly": "What does not look like the normal images that a model learned from?",
    "robustness": "Degrade the tuning images by known amounts: how far does the score of the frozen model fall?",
    "trial": "Put maps on trial before they are shown: do they depend on what was learned, and do they lie on the finding?",
    "explain": "Draw maps of what an answer rests on, each stamped with the verdict of its method's trial.",
    "inside": "Look inside a network: its layers, kernels and maps, what excites it, how far it sees, what training changed.",
    "embed": "See cases as the network sees them: which lie near each other, and can their site be told?",
    "uncertainty": "Let the frozen model answer each case several times: does what it is unsure of tell where it is wrong?",
    "flip": "Turn an answer by the smallest change of its image: how little is enough?",
    "real-or-fake": "Can readers tell made images from real ones? A blinded reading room, and its scores.",
    "compare": "Compare models, or readers and a model, on the same cases.",
    "chart": "Draw every model that was tried: accuracy against parameters, multiplications and seconds.",
    "report": "Write one HTML page with everything that was done and found.",
    "read": "Let a model read studies that it has never seen.",
    "sample": "Let a model make new images, every one marked as synthetic.",
    "fidelity": "How near are made images to real ones, how varied, and are training images repeated?",
    "latent": "How do images sit in the code of an autoencoder, and what does it draw between them?",
    "ledger": "Show how often the internal test was opened, by which model and for what.",
    "networks": "List the networks that can be trained, show what one is made of and costs, compare several.",
    "doctor": "Look at this machine: what is installed, how fast it is, what is missing.",
}

LEARNING_PACKAGES = ("torch", "torchvision", "timm", "monai", "lightning_fabric", "einops", "safetensors")


class LazyGroup(click.Group):
    """Verbs by name; a verb's module is imported when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = name.replace("-", "_")
        found = getattr(import_module(f"overread.cli.{module}"), module)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = [f"'{name}'" for name in get_close_matches(args[0], VERBS, 2, 0.7)]
            hint = f" Did you mean {' or '.join(near)}?" if near else f" There are: {', '.join(VERBS)}."
            raise click.UsageError(f"No verb '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs, in the order of the journey"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: overread demo   |   Help on one verb: overread init --help",
    subcommand_metavar="VERB [WORDS]...",
)
@click.version_option(__version__, prog_name="overread")
def overread() -> None:
    """Train, examine and use a second reader: from a folder of imaging studies and a sheet of labels
    to a trained, honestly evaluated deep learning model."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the program and give its exit code."""
    session = Session()
    try:
        ended = overread.main(args=args, prog_name="overread", obj=session, standalone_mode=False)
        sys.stdout.flush()
        return ended if isinstance(ended, int) else 0  # click hands the code of `ctx.exit` on
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _usage(error, "--json" in (sys.argv[1:] if args is None else args))
    except OverreadError as error:
        return _tell(error, session)
    except (KeyboardInterrupt, click.Abort):
        return _tell(Stopped("Stopped."), session)
    except BrokenPipeError:  # the reader of a pipe went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in LEARNING_PACKAGES:
            return _our_fault()
        missing = OverreadError(
            f"This needs the part of Overread that learns and reads, and its package '{error.name}' is not installed.",
            "pip install 'overread[learn]', then run the same command again; `overread doctor` shows what is there",
        )
        return _tell(missing, session)
    except Exception:
        return _our_fault()


def _tell(error: OverreadError, session: Session) -> int:
    """What happened and the next step; the traceback only where it was asked for."""
    if session.debug:
        traceback.print_exc()
    if session.as_json:
        values: dict[str, Any] = {"error": error.what, "code": getattr(error, "code", ""), "next": error.next}
        click.echo(json.dumps(values, indent=1, ensure_ascii=False))
    else:
        click.echo(f"{'' if isinstance(error, Stopped) else 'Error: '}{error}", err=True)
    return error.exit_code


def _usage(error: click.ClickException, as_json: bool) -> int:
    """A word that the verb does not know; programs that asked for JSON get JSON."""
    if as_json:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "overread"
        values = {"error": error.format_message(), "code": "usage", "next": f"see `{path} --help`"}
        click.echo(json.dumps(values, indent=1, ensure_ascii=False))
    else:
        error.show()
    return error.exit_code


def _our_fault() -> int:
    traceback.print_exc()
    click.echo(
        "\nThis is a fault of Overread, not of your input. Please report it with the lines above"
        " (they may hold names of files: read them before you share them).",
        err=True,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
