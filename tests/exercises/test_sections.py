"""The chapters set the exercises as npbert/exercises has them."""

import chapters
import pytest

from npbert.exercises.catalogue import CHAPTERS
from npbert.exercises.sections import with_section


def test_every_chapter_has_exercises():
    assert [*CHAPTERS] == [path.stem for path in chapters.CHAPTERS]


@pytest.mark.parametrize("path", chapters.CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_its_section(path):
    text = path.read_text(encoding="utf-8")
    assert with_section(text, path.stem) == text, "python tutorials/write_exercises.py mends it"


def test_another_section_is_replaced_and_none_is_an_error():
    text = "A\n\n## Exercises\n\nformer\n\n## Where to read next\n"
    made = with_section(text, "12_check_a_port")
    assert made.startswith("A\n\n## Exercises\n\nFill in") and "former" not in made
    assert made.endswith("+++\n\n## Where to read next\n")
    with pytest.raises(ValueError, match="has 0 sections on exercises, expected 1"):
        with_section("A\n", "12_check_a_port")
