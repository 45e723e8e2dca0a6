"""Whether a network that is asked for by name can answer the question at all, known before any image is read."""

from __future__ import annotations

from overread.core.errors import OverreadError
from overread.networks.libraries.adapters import unknown_name
from overread.networks.table import ARCHITECTURES
from overread.tasks import routes_of

OF_LIBRARIES = frozenset({"image", "dense"})  # what networks of timm, torchvision and MONAI are asked for


def refuse_unfit_network(task: str, name: str) -> None:
    """Stop at a name that the table lacks or whose network answers something else, with those that answer `task`.

    name  as in [training] architecture; "auto" passes, since the plan chooses; whether another library has a name
          ("timm:resnet18") is known when it is built
    """
    if name == "auto":
        return
    routes = set(routes_of(task))
    fitting = [row.name for row in ARCHITECTURES.values() if routes & row.serves]
    if ":" not in name and name not in ARCHITECTURES:
        raise unknown_name(name, "Overread", fitting)
    serves = OF_LIBRARIES if ":" in name else ARCHITECTURES[name].serves
    if not routes & serves:
        raise OverreadError(f"{name} does not answer {task}.", f"choose one of {', '.join(fitting)} in [training] architecture")
