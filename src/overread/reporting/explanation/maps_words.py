"""What the numbers of a map are, and what a map of each method can and cannot tell, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from overread.core.question import Question


@dataclass(frozen=True)
class About:
    """A method in words.

    unit    of its values; {score} stands for the score and its unit
    tells   what the map can tell
    cannot  what it cannot
    """

    unit: str
    tells: str
    cannot: str


_NOISE = "It tells nothing of what would happen if a whole region were different, and is noisy where the network is."
_COARSE = "It is as coarse as the layer: its edges are not those of anything in the image."

METHODS: dict[str, About] = {
    "saliency": About(
        "size of the change of {score} per standard deviation of the input",
        "Where a very small change of the image would change the score most.",
        _NOISE,
    ),
    "guided_backprop": About(
        "size of the guided gradient of {score} per standard deviation of the input",
        "Where structures lie that some path of the network answers to.",
        "It mostly redraws the edges of the image, often the same ones whatever the network has learned (Adebayo 2018).",
    ),
    "smoothgrad": About(
        "size of the mean change of {score} per standard deviation of the input, over noisy copies",
        "Where small changes of the image, and of images like it, would change the score most.",
        "It tells nothing of what would happen if a whole region were different.",
    ),
    "integrated_gradients": About(
        "part of {score} given to each voxel",
        "How the score, less that of an empty image, is shared out among the voxels; the shares add up.",
        "What looks like the empty image gets nothing, though the network may have used it.",
    ),
    "grad_cam": About(
        "features weighed by how they change {score}",
        "In which part of the image the features of one layer lie that raise the score.",
        _COARSE,
    ),
    "grad_cam_plus_plus": About(
        "features weighed by how they change {score}, place by place",
        "In which parts of the image the features of one layer lie that raise the score, also where there are several.",
        _COARSE,
    ),
    "class_activation": About(
        "part of {score} by place of the last layer",
        "What each place of the last layer adds to the score, exactly.",
        _COARSE,
    ),
    "attention_rollout": About(
        "share of attention by place",
        "Which places the network mixed into its summary of the image.",
        "It does not know what was asked: attention is given to what matters and to what does not.",
    ),
    "slice_weights": About(
        "share of attention, or of the change of {score} when a slice is left out, by voxel",
        "Which slices the network put into its summary of the volume.",
        "It says nothing of where in a slice, and does not know what was asked: a slice may be looked at to rule something out.",
    ),
    "attention_gates": About(
        "share of what attention lets through, by place",
        "Which places of the skips come through to the decoder.",
        "It does not know what was asked: a gate also opens for what the network then decides against.",
    ),
    "occlusion": About(
        "mean fall of {score} when a patch over the voxel is taken away",
        "How far the score falls when a part of the image is taken away.",
        "An image with a hole is like none that the network has learned from; part of the fall may be surprise. Two places of "
        "which one would do are both found unimportant.",
    ),
    "shapley_regions": About(
        "part of {score} given to the voxel's region, by voxel",
        "How the score is shared out among regions of the image, fairly over all orders of taking them away.",
        "Regions are cut along edges of the image, so a map looks anatomical whether the network is or not.",
    ),
}
_UNKNOWN = About(
    "in the method's own unit, of {score}", "What this method says of the score.", "What the network has understood."
)


def about(method: str) -> About:
    return METHODS.get(method, _UNKNOWN)


def score_words(question: Question, number: int, *, is_listed: bool) -> str:
    """What the score is, with its unit: "the score (log odds of yes)".

    number     of the class, quantity or structure
    is_listed  objects: the network lists them itself, each with a score
    """
    name = question.classes[number]
    if question.task == "regression":
        unit = question.units[number] if number < len(question.units) else ""
        return f"{name} ({unit})" if unit else name
    if question.task == "classification":
        is_odds = question.is_binary or not question.exclusive or question.ordered
        return f"the score ({'log odds' if is_odds else 'logit'} of {name})"
    if question.is_of_objects and is_listed:
        return "the score (0 to 1, of this object)"
    return f"the score (mean logit of {name} over its voxels)"
