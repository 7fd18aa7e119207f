"""Each chapter about a family notices the mistakes that npbert could make in that family.

Every classic mistake (npbert/golden/mistakes) is planted in npbert while the chapter runs, and one
of the chapter's own assertions has to fail. By default a few of them are planted, others each time
that a mistake is added; NPBERT_THOROUGH=1 plants all.
"""

import os

import chapters
import pytest

pytest.importorskip("matplotlib", reason="the chapters draw with matplotlib")

from mistaken_chapters import mistaken, mistakes, noticed

FAMILY_OF = {
    "03_bert": "bert",
    "04_convbert": "convbert",
    "05_mobilebert": "mobilebert",
    "06_squeezebert": "squeezebert",
}
SHARE = 0.95  # of the mistakes that a chapter has to notice
UNNOTICED: dict[str, tuple[str, ...]] = {}  # those that it does not, and why
PLANTED = 3  # mistakes for each chapter where not all are asked for


def about_families():
    return [path for path in chapters.CHAPTERS if path.stem in FAMILY_OF]


def chosen(path):
    """Return the names of the mistakes to plant: all, or some from all over the catalogue."""
    names = [*mistakes(FAMILY_OF[path.stem])]
    if os.environ.get("NPBERT_THOROUGH"):
        return names
    start = about_families().index(path)
    return [names[(start + n * len(names) // PLANTED) % len(names)] for n in range(PLANTED)]


def test_every_family_has_its_chapter():
    assert sorted(FAMILY_OF) == [path.stem for path in about_families()]


@pytest.mark.parametrize("path", about_families(), ids=lambda path: path.stem)
def test_a_chapter_notices_a_mistake(path, capsys):
    known = UNNOTICED.get(path.stem, ())
    family = FAMILY_OF[path.stem]
    assert len(known) <= (1 - SHARE) * len(mistakes(family))
    missed = [n for n in chosen(path) if n not in known and not noticed(path, family, n)]
    assert not missed, f"{path.stem} runs to its end with {', '.join(missed)}"


def test_a_mistake_reaches_what_is_loaded_and_is_gone_afterwards():
    import npbert

    def swapped():
        layer = npbert.BertModel.from_pretrained("bert-tiny").params.encoder.layer[0]
        return layer.attention.self.query.weight

    right = swapped()
    with mistaken("bert", "query_and_key_weights_swapped"):
        assert (swapped() != right).any()
    assert (swapped() == right).all()
