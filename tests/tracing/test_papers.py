"""Every paper has its title, year and link in one place, and whatever cites one refers to it."""

import re
from pathlib import Path

import npbert
from npbert.tracing import equations, papers

ROOT = Path(npbert.__file__).parents[1]
CITED = re.compile(r"\b[A-Z][a-z]+(?: et al\.| and [A-Z][a-z]+) (?:19|20)\d\d\b")


def test_every_section_is_of_a_known_paper():
    functions = [f for file in equations.EQUATIONS.values() for f in file.values()]
    sections = [section for section, _ in functions] + [*equations.HEADS.values(), equations.GELU]
    known = [papers.paper_of(section) for section in sections if section]
    assert len(known) > 30 and all(known)
    assert papers.paper_of("") is None


def test_what_the_source_cites_is_known():
    cited = set()
    for path in (ROOT / "npbert").rglob("*.py"):
        cited |= {*CITED.findall(path.read_text("utf-8"))}
    assert cited == {*papers.PAPERS}


def test_the_book_has_the_page_of_sources():
    page = (ROOT / "tutorials/guide/sources.md").read_text("utf-8")
    assert page == papers.page() + "\n"
    for name, paper in papers.PAPERS.items():
        assert f"## {name}" in page and str(paper.year) == name[-4:]


def test_links_and_titles_stand_nowhere_else():
    """Not even in the chapters, which refer to the page."""
    for path in [*(ROOT / "tutorials").glob("*.md"), *(ROOT / "npbert").rglob("*.py")]:
        if path.name != "papers.py":
            text = path.read_text("utf-8")
            assert [p.link for p in papers.PAPERS.values() if p.link in text] == [], path


def test_chapters_lead_to_places_of_the_page():
    page = (ROOT / "tutorials/guide/sources.md").read_text("utf-8")
    places = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^## (.+)$", page, re.M)
    }
    found = set()
    for path in (ROOT / "tutorials").glob("*.md"):
        found |= {*re.findall(r"guide/sources\.md#([\w-]+)", path.read_text("utf-8"))}
    assert len(found) >= 6 and found <= places
