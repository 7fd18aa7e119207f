"""All exercises, by chapter and by name."""

from __future__ import annotations

from npbert.exercises.chapters import (
    bert,
    convbert,
    four_families,
    learning,
    limits,
    mobilebert,
    ports,
    quirks,
    rounding,
    sentence,
    squeezebert,
    words,
)
from npbert.exercises.exercise import Exercise

CHAPTERS: dict[str, tuple[Exercise, ...]] = {  # by the file in tutorials/
    "01_from_a_sentence_to_a_word": sentence.EXERCISES,
    "02_words_into_pieces": words.EXERCISES,
    "03_bert": bert.EXERCISES,
    "04_convbert": convbert.EXERCISES,
    "05_mobilebert": mobilebert.EXERCISES,
    "06_squeezebert": squeezebert.EXERCISES,
    "07_four_families_one_page": four_families.EXERCISES,
    "08_rounding": rounding.EXERCISES,
    "09_quirks": quirks.EXERCISES,
    "10_to_the_machines_limit": limits.EXERCISES,
    "11_how_the_weights_were_learnt": learning.EXERCISES,
    "12_check_a_port": ports.EXERCISES,
}

EXERCISES = {exercise.name: exercise for chapter in CHAPTERS.values() for exercise in chapter}


def find(name: str) -> Exercise:
    """Return the exercise of this name; KeyError if there is none."""
    if name not in EXERCISES:
        from difflib import get_close_matches

        meant = get_close_matches(str(name), EXERCISES, n=1)
        or_else = f"did you mean {meant[0]}?" if meant else "`npbert exercises` lists them"
        raise KeyError(f"there is no exercise {name!r}; {or_else}")
    return EXERCISES[name]
