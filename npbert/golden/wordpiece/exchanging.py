"""A classic mistake of porting the tokenizer: a step in the right one's place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from npbert.golden.wordpiece.steps import Steps


@dataclass(frozen=True)
class TokenizerMistake:
    """A classic mistake.

    name, about  the second follows "your values are those of a tokenizer"
    kind         what it is about, in a word or two: "accents", "CJK", "a long word", ...
    stage        the first field that it changes
    change       exchanges the step
    """

    name: str
    kind: str
    stage: str
    about: str
    change: Callable[[Steps], Steps]


def exchanging(name: str, kind: str, stage: str, about: str, **steps: Any) -> TokenizerMistake:
    """Return a mistake that consists in other steps, given by their names in `Steps`."""
    return TokenizerMistake(name, kind, stage, about, lambda right: replace(right, **steps))


def switching(name: str, kind: str, stage: str, about: str, **switches: Any) -> TokenizerMistake:
    """Return a mistake about which stages run: True, False, or another setting whose value counts.

    The other switches stay as they are.
    """

    def change(right: Steps) -> Steps:
        def mistaken(settings: Any) -> Any:
            wrong = {
                stage: settings[value] if isinstance(value, str) else value
                for stage, value in switches.items()
            }
            return {**right.switches(settings), **wrong}

        return replace(right, switches=mistaken)

    return TokenizerMistake(name, kind, stage, about, change)
