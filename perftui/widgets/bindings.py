"""The table of keys as Textual's bindings."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from perftui.keys import keys_of
from perftui.keytable.key import Place


def bindings(*places: Place) -> list[BindingType]:
    """Return a binding for every key of these places."""
    return [
        Binding(",".join(keys), key.action.format(key=keys[0]), key.label or key.sentence)
        for key in keys_of(*places)
        for keys in ([(name,) for name in key.keys] if "{key}" in key.action else [key.keys])
    ]
