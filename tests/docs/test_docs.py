"""The docs say what the program does: commands, settings, links, words."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import get_args

import click
import pytest
from pydantic import create_model

from docs.pages import FENCE, ROOT, all_pages, calls, calls_in_sentences, commands, name, steps
from overread.cli.main import VERBS, LazyGroup
from overread.cli.main import overread as program
from overread.cli.verb import Verb
from overread.workflow.settings import Settings

PAGES = all_pages()
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
COMMANDS = [(name(page), line) for page in PAGES for line in commands(page)]
CALLS = [(name(page), line) for page in PAGES for line in calls(page)]
PLACEHOLDERS = ("VERB",)
IN_SENTENCES = [(name(page), line) for page in PAGES for line in calls_in_sentences(page)]


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every block of code in a language."""
    return [(name(page), step.text) for page in PAGES for step in steps(page) if step.language == language]


@pytest.mark.parametrize(("page", "line"), CALLS)
def test_a_command_in_the_docs_exists_with_its_options(page: str, line: str) -> None:
    check_call(page, line)


@pytest.mark.parametrize("word", VERBS)
def test_the_examples_in_the_help_exist_with_their_options(word: str) -> None:
    verb = verb_called(word)
    assert isinstance(verb, Verb)
    for line in verb.example.splitlines():
        check_call(f"help of {word}", line.partition(" > ")[0])


def check_call(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words[0].startswith("-"):
        assert words[0] in ("--help", "--version")
        return
    assert words[0] in VERBS, f"{page}: no verb '{words[0]}'"
    verb = verb_called(words[0])
    values, extra, _ = verb.make_parser(click.Context(verb)).parse_args(words[1:])  # raises where an option does not exist
    assert not extra, f"{page}: words too many in '{line}': {extra}"
    for parameter in verb.params:
        value = values.get(parameter.name or "")
        if isinstance(value, str | list) and not isinstance(parameter.type, click.Path) and value:
            for word in [value] if isinstance(value, str) else value:
                parameter.type.convert(word, parameter, None)
        assert not parameter.required or value, f"{page}: '{line}' lacks {parameter.name}"


def verb_called(word: str) -> click.Command:
    verb = LazyGroup("overread").get_command(click.Context(program), word)
    assert verb is not None, f"no verb '{word}'"
    return verb


@pytest.mark.parametrize(("page", "line"), IN_SENTENCES)
def test_a_command_in_a_sentence_has_a_verb_and_options_that_exist(page: str, line: str) -> None:
    """What it is about may be left out there: `overread report`, `overread evaluate --truth ... --answers ...`."""
    words = shlex.split(line.replace("...", " "))[1:]
    if words and not words[0].startswith("-") and words[0] not in PLACEHOLDERS:
        known = {option for parameter in verb_called(words[0]).params for option in (*parameter.opts, *parameter.secondary_opts)}
        unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known | {"--help"}]
        assert unknown == [], f"{page}: '{line}'"


def test_other_commands_in_the_docs_are_chores_of_the_makefile_or_an_install() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for page, line in COMMANDS:
        words = line.split()
        if words[0] == "make":
            assert words[1] in targets, f"{page}: no target {words[1]}"
        else:
            assert words[0] in ("overread", "pip", "cd", "git"), f"{page}: {line}"


def test_settings_in_the_docs_exist() -> None:
    for page, text in blocks("toml"):
        for section, values in tomllib.loads(text).items():
            model = Settings.model_fields[section].annotation
            if not hasattr(model, "model_fields"):  # a table with keys of the user's own
                model = create_model("Table", **{key: (get_args(model)[1], ...) for key in values})  # type: ignore[call-overload]
            model.model_validate({**dict.fromkeys(required(model), "x"), **values})  # type: ignore[union-attr]
            assert values, f"{page}: [{section}] is empty"


def required(model: object) -> list[str]:
    return [key for key, field in model.model_fields.items() if field.is_required()]  # type: ignore[attr-defined]


def test_python_in_the_docs_uses_names_that_exist() -> None:
    import overread

    for page, text in blocks("python"):
        compile(text, page, "exec")
        for used in re.findall(r"\boverread\.(\w+)", text):
            assert used in overread.__all__, f"{page}: overread.{used} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        target, _, anchor = match["target"].partition("#")
        if "://" in target:
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{name(page)}: {target} does not exist"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [slug(heading) for heading in headings], f"{name(page)}: no heading #{anchor} in {target}"


def slug(heading: str) -> str:
    """The anchor that Markdown viewers make from a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_page_of_the_docs_can_be_reached() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = [match["target"].partition("#")[0] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
        waiting += [(page.parent / target).resolve() for target in targets if target and "://" not in target]
    assert [name(page) for page in PAGES if page not in seen] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_used_in_a_tutorial_or_a_how_to(verb: str) -> None:
    assert any(line.split()[1] == verb for page, line in CALLS if "reference" not in page), f"no page shows overread {verb}"


def test_the_generated_reference_is_fresh() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import make_reference
    finally:
        sys.path.pop(0)
    assert [name(path) for path in make_reference.stale()] == [], "run `make docs`"


def test_the_glossary_is_in_order_and_has_the_nouns() -> None:
    terms = re.findall(r"^\*\*(.+?)\.\*\*", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert terms == sorted(terms, key=str.lower)
    assert len(terms) == len(set(terms))
    nouns = ("Case", "Cohort", "Decisions", "Grid", "Interval", "Ledger", "Preparation", "Question", "Reading", "Run", "Score")
    assert [noun for noun in nouns if noun not in terms] == []


def test_one_word_per_idea() -> None:
    """The word that means two things is explained twice and used nowhere else."""
    allowed = {"docs/glossary.md", "docs/decisions/0014-tuning.md", "docs/decisions/README.md"}
    for page in PAGES:
        if name(page) not in allowed:
            assert not re.search(r"\bvalidation (set|case|data|partition)", page.read_text(encoding="utf-8")), name(page)
