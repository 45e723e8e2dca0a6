"""Alarms: collapse, a critic without end, a code that says nothing; each told once."""

from __future__ import annotations

from overread.tasks.generative.signs import ACTIVE, DIVERSITY, KL, NEAREST
from overread.training.alarms import Watch, collapse, exploding, vanished


def test_images_that_are_alike_are_told_after_three_looks():
    assert collapse([0.9, 0.1, 0.1], "") is None
    assert collapse([0.1, 0.1], "") is None
    assert "0.05 times as much as real ones (collapse); wait" in (collapse([0.9, 0.1, 0.1, 0.05], "wait") or "")


def test_what_helps_hangs_on_the_loss():
    """Its terms tell which one it is; WGAN-GP is no remedy for itself."""

    def told(terms: dict[str, float]) -> str:
        watch = Watch()
        return " ".join(text for _ in range(3) for text in watch.hear(terms, {DIVERSITY: 0.05}, 0.5))

    assert 'try loss = "wgan_gp"' in told({"critic real": 1.0, "critic made": 1.0})
    penalised = told({"critic real": 1.0, "critic made": 1.0, "penalty": 0.1})
    assert 'loss = "wgan_gp"' not in penalised
    assert "diffusion_unet" in penalised
    assert "without a critic" in told({"critic a": 1.0, "adversarial forth": 1.0, "cycle": 1.0})
    assert "more images" in told({"velocity": 1.0})


def test_copies_are_told_after_three_looks():
    watch = Watch()
    heard = [watch.hear({}, {NEAREST: value}, 0.5) for value in (0.9, 0.3, 0.2, 0.1)]
    assert [len(each) for each in heard] == [0, 0, 0, 1]
    assert "0.10 times as far from a training image as the nearest tuning image does (memorising)" in heard[-1][0]


def test_a_term_explodes_that_is_large_and_still_grows():
    assert "5e+04 (exploding critic)" in (exploding("critic made", [1.0, 2.0, 40.0, 900.0, -5e4]) or "")
    assert exploding("critic made", [1.0, 2.0, 3.0, 4.0, 5.0]) is None, "small"
    assert exploding("critic made", [1.0, 2.0, 900.0, 5e4, 4e4]) is None, "it has turned"
    assert exploding("critic made", [300.0, 320.0, 340.0, 360.0, 380.0]) is None, "large from the beginning"
    assert exploding("critic made", [1.0, 5e4]) is None, "too little was seen"


def test_a_code_vanishes_by_its_nats_or_by_its_numbers():
    assert "0.10 nats" in (vanished([9.0, 0.2, 0.1, 0.1], [5.0, 5.0, 5.0, 5.0]) or "")
    assert "0 numbers in use" in (vanished([9.0, 9.0, 9.0], [0.0, 0.0, 0.0]) or "")
    assert vanished([9.0, 0.1, 9.0], [5.0, 5.0, 5.0]) is None


def test_an_alarm_is_told_once_until_it_was_quiet():
    watch = Watch()
    heard = [watch.hear({}, {DIVERSITY: value}, 0.5) for value in (0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1)]
    assert [len(each) for each in heard] == [0, 0, 1, 0, 0, 0, 0, 1]


def test_a_resumed_watch_remembers_what_it_saw_and_told():
    watch, again = Watch(), Watch()
    for value in (0.1, 0.1):
        watch.hear({"critic real": 1.0}, {DIVERSITY: value}, 0.5)
    again.restore(watch.state())
    assert len(again.hear({"critic real": 1.0}, {DIVERSITY: 0.1}, 0.5)) == 1, "the third in a row"
    later = Watch()
    later.restore(again.state())
    assert not later.hear({"critic real": 1.0}, {DIVERSITY: 0.1}, 0.5), "told already"


def test_nothing_is_told_at_the_very_beginning():
    watch = Watch()
    assert not any(watch.hear({}, {KL: 0.0, ACTIVE: 0.0}, 0.05) for _ in range(5))
    assert len(watch.hear({}, {KL: 0.0, ACTIVE: 0.0}, 0.2)) == 1


def test_terms_of_other_losses_may_grow():
    watch = Watch()
    assert not any(watch.hear({"dice_ce": 10.0**k}, {}, 0.5) for k in range(8))
