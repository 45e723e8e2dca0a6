"""The program: verbs, errors in words, exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from overread.cli import main as program
from overread.cli.main import VERBS, LazyGroup, main, overread
from overread.cli.verb import Outcome, Verb, command, set_option
from overread.core.errors import OverreadError, Refused, Stopped


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch):
    """Make the verb `trial` do what a test wants."""

    def make(action) -> None:
        @click.command(cls=Verb, example="overread trial")
        @set_option
        def trial(overrides: dict[str, str]) -> Outcome:
            """Try."""
            return action(overrides)

        module = ModuleType("overread.cli.trial")
        module.trial = trial  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "overread.cli.trial", module)
        monkeypatch.setitem(program.VERBS, "trial", "Try.")

    return make


def raises(error: BaseException):
    def action(overrides: dict[str, str]) -> Outcome:
        raise error

    return action


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help_with_an_example_and_the_same_summary(name: str) -> None:
    found = LazyGroup("overread").get_command(click.Context(overread), name)
    assert isinstance(found, Verb)
    assert (found.help or "").split("\n\n")[0].replace("\n", " ") == VERBS[name]
    assert all(line.startswith(f"overread {name}") for line in found.example.splitlines())
    assert found.example, "a verb needs an example"
    for option in found.params:
        assert not isinstance(option, click.Option) or option.help, f"{option.name} has no help"


def test_every_file_of_a_verb_is_a_verb() -> None:
    shared = {"__init__", "main", "verb", "progress", "scores", "comparison", "explained", "networks_words"}
    files = {path.stem for path in Path(program.__file__).parent.glob("*.py")}
    assert files - shared == {name.replace("-", "_") for name in VERBS}


def test_help_lists_the_verbs_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    places = [text.index(f"\n  {name} ") for name in VERBS]
    assert places == sorted(places)


def test_unknown_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evalute"]) == 2
    assert "No verb 'evalute'. Did you mean 'evaluate'?" in capsys.readouterr().err
    assert main(["xyzzy"]) == 2
    assert "There are: demo, phantom, deidentify, init" in capsys.readouterr().err


def test_outcome_in_words(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(lambda overrides: Outcome("Done.", {"run": "one"}, "overread next"))
    assert main(["trial"]) == 0
    assert capsys.readouterr().out == "Done.\n\nNext: overread next\n"


def test_outcome_for_programs(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(lambda overrides: Outcome("Done.", {"path": Path("a"), "set": overrides}, "overread next"))
    assert main(["trial", "--json", "--set", "training.loss = dice", "--set", "a=b=c"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values == {"path": "a", "set": {"training.loss": "dice", "a": "b=c"}, "next": "overread next"}


def test_a_setting_without_a_value_is_refused(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(lambda overrides: Outcome(""))
    assert main(["trial", "--set", "training.loss"]) == 2
    assert "--set 'training.loss': expected KEY=VALUE." in capsys.readouterr().err


def test_an_error_is_told_without_traceback(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(OverreadError("The sheet has no column 'mrn'.", "name it with --group-by")))
    assert main(["trial"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "Error: The sheet has no column 'mrn'.\n  Next: name it with --group-by\n"


def test_debug_shows_the_traceback(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(OverreadError("No.")))
    assert main(["trial", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_error_for_programs(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(Refused("missing-slice", "Two slices are missing.", "fetch the series again")))
    assert main(["trial", "--json"]) == 2
    values = json.loads(capsys.readouterr().out)
    assert values == {"error": "Two slices are missing.", "code": "missing-slice", "next": "fetch the series again"}


def test_a_wrong_option_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "--wrong", "--json"]) == 2
    values = json.loads(capsys.readouterr().out)
    assert "--wrong" in values["error"]
    assert values["next"] == "see `overread networks --help`"


def test_a_misspelt_network_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "resnet81"]) == 2
    assert "did you mean resnet18" in capsys.readouterr().err


@pytest.mark.parametrize("error", [Stopped("Stopped after 3 epochs.", "overread train d --resume"), KeyboardInterrupt()])
def test_a_stop_has_its_own_exit_code(verb, error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(error))
    assert main(["trial"]) == 130
    assert capsys.readouterr().err.lstrip().startswith("Stopped")


def test_a_fault_of_ours_shows_where(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(ZeroDivisionError("oops")))
    assert main(["trial"]) == 1
    told = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in told
    assert "This is a fault of Overread, not of your input." in told


def test_missing_torch_is_told_with_the_remedy(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(ModuleNotFoundError("No module named 'torch'", name="torch")))
    assert main(["trial"]) == 2
    told = capsys.readouterr().err
    assert "its package 'torch' is not installed" in told
    assert "pip install 'overread[learn]'" in told


def test_a_missing_package_of_ours_is_our_fault(verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raises(ModuleNotFoundError("No module named 'overread.nothing'", name="overread.nothing")))
    assert main(["trial"]) == 1


def test_next_commands_can_be_pasted() -> None:
    assert command("train", Path("my liver"), "--minutes", 15) == "overread train 'my liver' --minutes 15"
