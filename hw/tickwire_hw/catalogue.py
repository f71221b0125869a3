"""Components by name, for programs that take one as an argument."""

import importlib
import inspect
import pkgutil
from pathlib import Path

from amaranth.lib import wiring

from tickwire.spec.geometry import CARD_LARGE, CARD_PLAIN, CARD_SMALL

GEOMETRIES = {"plain": CARD_PLAIN, "small": CARD_SMALL, "large": CARD_LARGE}
"""Sizes that the gateware is built in: ``large`` for UltraScale+, the others for ECP5.

``plain`` is ``small`` without early answers.
"""


def component(name: str, geometry: str = "small") -> wiring.Component:
    """Return the component ``name``, such as ``order_table``, in a geometry that is named too.

    Raises ``ValueError``, with a sentence, if there is none or if it needs more than a geometry.
    """
    found = _classes(name)
    if name not in found:
        raise ValueError(f"there is no component {name!r}; there are "
                         f"{', '.join(sorted(_classes()))}")
    needed = _needed(found[name])
    if needed not in ([], ["geometry"]):
        raise ValueError(f"{name} cannot stand alone: it needs {', '.join(needed)}")
    return found[name](*([GEOMETRIES[geometry]] if needed else []))


def names() -> list[str]:
    """Return the names of the components that need at most a geometry."""
    return sorted(name for name, kind in _classes().items()
                  if _needed(kind) in ([], ["geometry"]))


def _needed(kind: type[wiring.Component]) -> list[str]:
    return [entry.name for entry in inspect.signature(kind).parameters.values()
            if entry.default is entry.empty
            and entry.kind not in (entry.VAR_KEYWORD, entry.VAR_POSITIONAL)]


def _classes(wanted: str | None = None) -> dict[str, type[wiring.Component]]:
    """Return components by name; a module defines the one of its own name."""
    folder = Path(__file__).parent
    found = {}
    for module in pkgutil.iter_modules([str(folder)]):
        if wanted not in (None, module.name):
            continue
        loaded = importlib.import_module(f"tickwire_hw.{module.name}")
        for name, value in vars(loaded).items():
            if (inspect.isclass(value) and issubclass(value, wiring.Component)
                    and value.__module__ == loaded.__name__
                    and name.lower() == module.name.replace("_", "")):
                found[module.name] = value
    return found
