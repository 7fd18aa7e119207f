"""The page of a report as a reader uses it, in headless Chromium: values beside values."""

from pathlib import Path

import pytest
from reports import mistaken, right

from npbert.golden import Kit, report_page

pytestmark = pytest.mark.browser

SHIPPED = Path(__file__).parents[2] / "weights" / "golden"
WIDE = "encoder.layer.0.wide"
DENSE = "encoder.layer.0.output.dense"


@pytest.fixture(scope="module")
def kit():
    return Kit(SHIPPED / "bert-model")


@pytest.fixture(scope="module")
def mine(kit):
    """What a port gives with the tanh of GELU: `wide` is wrong, what follows inherits it."""
    return mistaken(kit, "tanh_gelu")


@pytest.fixture(scope="module")
def page(kit, mine, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_page(kit.check(mine), "short"), "utf-8")
    return path.as_uri()


def read_cell(reader):
    """Return the value of the cell of the large heatmap that is chosen, as it is written there."""
    return float(reader.one("#large .readout .number").text.replace("−", "-"))


def test_it_opens_at_the_first_wrong_step(reader, page):
    reader.open(page)
    assert reader.current() == WIDE
    headline = reader.one(".check .headline")
    assert headline.text.startswith(f"First wrong: {WIDE} [")
    assert reader.one(".check.wrong .headline a").text == WIDE
    assert "tanh approximation of GELU" in reader.one(".check pre").text
    card = reader.card(WIDE)
    assert card.find_element("css selector", ".verdict.wrong b").text == "WRONG"
    maps = card.find_elements("css selector", ".maps canvas.map")
    assert len(maps) == 3 and all(reader.is_drawn(canvas) for canvas in maps)
    titles = [each.text for each in card.find_elements("css selector", ".maps .mini b")]
    assert titles == ["npbert", "yours", "difference"]
    later = reader.card(DENSE)
    assert later.find_element("css selector", ".verdict b").text == "inherited"
    before = reader.card("encoder.layer.0.intermediate.dense")
    assert before.find_element("css selector", ".verdict.right b").text == "right"


def test_all_three_values_are_read_large(reader, page, kit, mine):
    own = kit.expected("short")[WIDE][0, 0, 0]
    theirs = float(mine[f"short/{WIDE}"][0, 0, 0])
    reader.open(page)
    [_, _, difference] = reader.card(WIDE).find_elements("css selector", ".maps button")
    reader.click(difference)
    reader.one("#large .frame").send_keys("\ue015")  # an arrow key chooses the first cell
    assert read_cell(reader) == pytest.approx(theirs - own, rel=5e-3)
    for number, value in enumerate((own, theirs)):
        reader.all("#large .views button")[number].click()
        pressed = reader.one("#large .views [aria-pressed=true]").text
        assert pressed == ("npbert", "yours")[number]
        assert read_cell(reader) == pytest.approx(value, rel=2e-3)
    reader.press("\ue00c")  # Esc
    reader.wait("return !document.getElementById('large').open")
    reader.press("\ue007")  # Enter opens npbert's again
    assert reader.one("#large .views [aria-pressed=true]").text == "npbert"


def test_sections_are_marked_and_names_are_links(reader, page):
    reader.open(page)
    colours = reader.run(
        "return [...document.querySelectorAll('#sections button')].map("
        "(button) => getComputedStyle(button).borderBottomWidth)"
    )
    assert colours == ["1px", "3px", "3px"]  # embeddings right, the layer wrong, the head inherits
    reader.open(f"{page}#embeddings.words")  # an address leads where it says
    assert reader.current() == "embeddings.words"
    reader.one(".check .headline a").click()
    reader.wait(f"return document.querySelector('.card[aria-current]').ariaLabel === '{WIDE}'")


def test_a_right_port_and_what_was_not_given(reader, kit, tmp_path):
    given = {name: array for name, array in right(kit).items() if not name.endswith(".key")}
    path = tmp_path / "right.html"
    path.write_text(report_page(kit.check(given), "padded_end"), "utf-8")
    reader.open(path.as_uri())
    assert reader.one(".check.right .headline").text.startswith("Right: all ")
    assert "Other cases: single: all right" in reader.one(".check .note").text
    assert not reader.all(".verdict.wrong, .verdict.inherited")
    reader.open(f"{path.as_uri()}#encoder.layer.0.attention.self.key")
    card = reader.card("encoder.layer.0.attention.self.key")
    assert card.find_element("css selector", ".verdict.not-given").text == "not given"
    assert not card.find_elements("css selector", ".maps")
    assert card.find_element("css selector", ".thumb").is_displayed()


@pytest.mark.parametrize("width", [1440, 700, 400])
def test_nothing_is_wider_than_the_window(reader, page, width):
    reader.open(page, width=width, dark=width == 700)
    assert reader.run("return document.documentElement.scrollWidth") <= width
    assert (
        reader.run("return document.querySelector('.maps').getBoundingClientRect().right") <= width
    )
