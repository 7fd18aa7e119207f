"""The trace page as a reader uses it, in headless Chromium.

Needs Chromium, its driver (Debian: chromium, chromium-driver) and selenium (extra `browser`).
Without them the tests are skipped, and with NPBERT_REQUIRE_BROWSER in the environment they fail.
"""

import re

import numpy as np
import pytest
from browsing import SENTENCE

import npbert
from npbert.tracing.page.reading import read

pytestmark = pytest.mark.browser

HOSTILE = '</script><b id="x">&amp;"\'<!-- [MASK]'
CURRENT = "return document.querySelector('.card[aria-current]').ariaLabel"
PROBS = "convbert.encoder.layer.2.attention.self.attend.probs"


@pytest.fixture(scope="module")
def recorded():
    reading = read("convbert-tiny", [SENTENCE])
    return npbert.trace(reading.model, **reading.inputs)


# ---- reading -------------------------------------------------------------------------------


def test_open_step_to_layer_2_open_a_heatmap_follow_a_link(reader, pages, recorded):
    reader.open(pages())
    assert reader.browser.title == f"convbert-tiny: {SENTENCE}"
    tokens = [each.text for each in reader.all("#tokens .piece")]
    assert tokens[:3] == ["[CLS]", "the", "children"] and len(tokens) == 12

    reader.one('#sections button[aria-label="Layer 2"]').click()
    assert reader.one("#values h2").text == "Layer 2"
    shown = [card.get_attribute("aria-label") for card in reader.all(".card")]
    assert shown == [name for name in recorded.names() if ".layer.2." in name]

    reader.run("arguments[0].scrollIntoView()", reader.card(PROBS))
    for canvas in reader.card(PROBS).find_elements("css selector", ".thumb canvas"):
        assert reader.is_drawn(canvas)  # word pieces along both edges, and the values
    reader.card(PROBS).find_element("css selector", ".thumb").click()
    assert reader.one("#large").get_attribute("open") is not None
    for canvas in ("whole", "left-edge", "top-edge"):
        assert reader.is_drawn(reader.one(f"#large canvas.{canvas}"))
    value = recorded[PROBS].value[0, 0]
    words = point_at(reader, row=2, column=5, rows=12, columns=12)
    assert words == ["children", "[MASK]"]
    assert float(reader.one(".readout .number").text) == pytest.approx(value[2, 5], rel=2e-3)

    [source] = recorded[PROBS].inputs
    [link] = [
        a for a in reader.all("#large .links a") if a.get_attribute("title").startswith(source)
    ]
    link.click()
    reader.wait("return !document.getElementById('large').open")
    assert reader.current() == source
    assert reader.one(".line.now .at").text == str(recorded[source].line)
    assert "exponentials = np.exp(" in reader.one(".line.now").text
    uses = [each.text.split("\n")[1] for each in reader.all(".line.uses")]
    assert [each.split()[0] for each in uses] == ["probs", "return"] and "exponentials" in uses[1]
    assert reader.run("return location.hash") == f"#{reader.current()}"
    reader.browser.back()
    reader.wait("return document.getElementById('large').open")


def point_at(reader, row, column, rows, columns):
    """Move the pointer over a cell of the large heatmap; return the words that are then shown."""
    from selenium.webdriver.common.action_chains import ActionChains

    inner = reader.one("#large .inner")
    width, height = inner.size["width"], inner.size["height"]
    x = (column + 0.5) * width / columns - width / 2
    y = (row + 0.5) * height / rows - height / 2
    ActionChains(reader.browser).move_to_element_with_offset(inner, int(x), int(y)).perform()
    return [each.text for each in reader.all("#large .readout .word")]


def test_nothing_is_loaded(reader, pages):
    reader.open(pages())
    assert reader.run("return performance.getEntriesByType('resource').length") == 0


def test_heads(reader, pages, recorded):
    reader.open(f"{pages()}#{PROBS}&open")
    value = recorded[PROBS].value[0]
    for head in (0, 1):
        point_at(reader, 5, 7, 12, 12)
        shown = float(reader.one(".readout .number").text)
        assert shown == pytest.approx(value[head, 5, 7], rel=2e-3)
        reader.press("l")
    reader.all("#large .heads button")[1].click()
    reader.wait("return location.hash.includes('head=1')")
    reader.press("\ue00c")  # Esc
    reader.wait("return !document.getElementById('large').open")
    assert reader.one("#pickers [aria-pressed=true]").text == "1"
    assert reader.card(PROBS).find_element("css selector", ".where").text == "head 1"


def test_keys(reader, pages, recorded):
    names = recorded.names()
    start = names.index(PROBS)
    reader.open(f"{pages()}#{PROBS}")
    reader.press("j")
    assert reader.current() == names[start + 1]
    reader.press("k", "k")
    assert reader.current() == names[start - 1]
    reader.press("]")
    assert reader.current() == names[start - 1].replace("layer.2", "layer.3")
    reader.press("[", "[")
    assert reader.current() == names[start - 1].replace("layer.2", "layer.1")
    reader.press("\ue007")  # Enter
    assert reader.one("#large").get_attribute("open") is not None
    reader.press("\ue014", "\ue015")  # right, down
    assert reader.one(".readout .number").text
    reader.press("j")
    assert reader.one("#large-name").text.startswith(names[start].rpartition(".")[2])
    reader.press("\ue00c", "?")
    assert reader.one("#help").get_attribute("open") is not None
    reader.press("\ue00c", "/")
    reader.press(*"span")
    assert reader.run("return document.activeElement.id") == "search"


def test_search(reader, pages):
    reader.open(pages())
    box = reader.one("#search")
    box.send_keys("layer.3 filters")
    assert "Layer 3" in reader.all("#results [role=option]")[0].text
    box.send_keys("\ue007")
    assert reader.current() == "convbert.encoder.layer.3.attention.self.filters"
    box.clear()
    box.send_keys("np.pad(values")
    [line] = [each for each in reader.all("#results [role=option]") if "kernels.py" in each.text]
    line.click()
    assert "np.pad(values" in reader.one(".line.now").text
    box.clear()
    box.send_keys("<b>nothing</b>")
    assert reader.one("#results .note").text.startswith("Nothing")


def test_an_address_leads_to_its_place_and_a_wrong_one_to_the_start(reader, pages):
    alias = "convbert.encoder.layer.1.attention.self.far"
    reader.open(f"{pages()}#{alias}&head=1")
    assert reader.current() == "convbert.encoder.layer.1.attention.self.attend.context"
    assert reader.one("#pickers [aria-pressed=true]").text == "1"
    for wrong in ("#nothing&head=-3", "#%", "#constructor&head=x"):
        assert reader.open(pages() + wrong).current() == "inputs.input_ids"


def test_calls_fold_and_unfold(reader, pages):
    reader.open(f"{pages()}#{PROBS}")
    folded = len(reader.all(".step.folded"))
    assert folded > 5
    reader.click(reader.all(".step.folded .fold")[0])
    assert len(reader.all(".step.folded")) < folded
    reader.one("#source .quiet").click()
    assert reader.all(".step.folded") == []
    calls = reader.run(
        "return JSON.parse(document.getElementById('data').textContent)"
        ".steps.filter(step => step.section === '2').length"
    )
    assert len(reader.all("#source .step")) == calls


def test_the_source_leads_to_the_values(reader, pages):
    reader.open(f"{pages()}#{PROBS}")
    [line] = [each for each in reader.all(".line.makes") if "local = linear" in each.text]
    reader.click(line.find_element("css selector", "button.at"))
    assert reader.current() == "convbert.encoder.layer.2.attention.self.conv_out_layer"


# ---- every page ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["bert-tiny", "convbert-tiny", "mobilebert-tiny", "squeezebert-tiny"]
)
def test_every_quantity_opens(reader, pages, name):
    """All but those of further layers, which are like those of the first."""
    reader.open(f"{pages(name)}#inputs.input_ids&open")
    steps = reader.run(
        """const data = JSON.parse(document.getElementById("data").textContent);
        let opened = 0;
        for (const key of ["start", "0", "end"]) {
          for (const number of data.sections.find(each => each.key === key).quantities) {
            const q = data.quantities[number];
            const shown = document.querySelector("#large .title h2").title;
            if (shown !== q.name) return `${shown} in the place of ${q.name}`;
            if (!document.querySelector("#large canvas.whole").width) return q.name;
            opened += 1;
            document.querySelector('#large [aria-label^="Next"]').click();
          }
          document.getElementById("large").close();
          const after = {start: "Layer 0", 0: "Head", end: "Embeddings"}[key];
          document.querySelector(`#sections [aria-label="${after}"]`).click();
          document.querySelector(".card .thumb").click();
        }
        return opened;"""
    )
    reading = read(name, [SENTENCE])
    names = npbert.trace(reading.model, **reading.inputs).names()
    assert steps == sum(not re.search(r"layers?\.[1-9]", name) for name in names)


def test_hostile_text_is_shown(reader, pages):
    reader.open(pages("bert-tiny", HOSTILE, "a <i>b</i>"))
    assert reader.browser.title.endswith(f"{HOSTILE} | a <i>b</i>")
    assert reader.all("#x, main b#x, #tokens b, #tokens i") == []
    assert "script" in "".join(each.text for each in reader.all("#tokens .piece")).replace("#", "")


def test_rows_of_several_choices(reader, pages):
    texts = "It began to rain.", "She opened her umbrella.", "Iron is a metal."
    reader.open(pages("mobilebert-tiny-choice", *texts))
    before = [each.text for each in reader.all("#tokens .piece")]
    reader.all("#pickers button")[1].click()
    after = [each.text for each in reader.all("#tokens .piece")]
    assert before != after and after[-1] == "[PAD]" and len(before) == len(after)


# ---- looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1440, 900), (900, 1200), (390, 844)], ids=str)
def test_no_window_is_too_narrow(reader, pages, size):
    reader.open(f"{pages()}#{PROBS}", *size)
    overflow = "return [...arguments].map(s => document.querySelector(s))"
    overflow += ".filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.id)"
    for name in (PROBS, "generator_lm_head"):
        reader.run("location.hash = arguments[0]", name)
        reader.wait(CURRENT + " === arguments[0]", name)
        assert reader.run("return document.documentElement.scrollWidth") == size[0]
        assert reader.run(overflow, "#source", "#values", "body") == []
        assert reader.is_drawn(reader.card(name).find_element("css selector", "canvas.map"))


def test_a_narrow_window_shows_one_pane(reader, pages):
    reader.open(f"{pages()}#{PROBS}", 390, 844)
    visible = [each for each in reader.all(".pane") if each.is_displayed()]
    assert [each.get_attribute("id") for each in visible] == ["values"]
    made_by, computed = (
        reader.card(PROBS)
        .find_elements("css selector", ".links")[0]
        .find_elements("css selector", "a")
    )
    assert made_by.text.startswith("attend, ops.py:")
    assert computed.text.startswith("softmax, ops.py:")
    made_by.click()
    reader.wait("return getComputedStyle(document.getElementById('values')).display === 'none'")
    line = reader.one(".line.now")
    assert line.is_displayed() and "probs = softmax" in line.text
    chips = reader.all("#source .chip[aria-current]")
    chip = next(each for each in chips if "probs" in each.text)
    reader.click(chip)
    reader.one('#tabs [data-pane="values"]').click()
    assert reader.card(PROBS).is_displayed()


def test_light_and_dark(reader, pages):
    ground = "return getComputedStyle(document.body).backgroundColor"
    reader.open(pages(), dark=False)
    light = reader.run(ground)
    reader.one("#theme").click()
    assert reader.run(ground) != light
    reader.one("#theme").click()
    assert reader.run(ground) == light
    assert reader.open(pages(), dark=True).run(ground) != light


CONTRASTS = """
const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
  .getContext("2d", {willReadFrequently: true});
function over(colours) {  // the last one on top, as the screen mixes them
  context.clearRect(0, 0, 1, 1);
  for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
function light(rgb) {
  const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const poor = [];
for (const element of document.querySelectorAll("body *")) {
  const text = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!text || !element.checkVisibility() || element.closest(":disabled, canvas, script, option")) continue;
  const grounds = [];
  for (let e = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor);
  const colour = getComputedStyle(element).color;
  const [a, b] = [light(over(grounds)), light(over([...grounds, colour]))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) poor.push(`${element.className || element.tagName}: ${element.textContent.slice(0, 20)} ${contrast.toFixed(2)}`);
}
return [...new Set(poor)];
"""  # noqa: E501


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("place", [PROBS, "generator_lm_head", f"{PROBS}&open"])
def test_contrast(reader, pages, dark, place):
    reader.open(f"{pages()}#{place}", dark=dark)
    assert reader.run(CONTRASTS) == []


def test_everything_that_can_be_pressed_has_a_name(reader, pages):
    reader.open(f"{pages()}#{PROBS}&open")
    nameless = reader.run(
        """return [...document.querySelectorAll("button, a, input, select")]
        .filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length))
        .map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert reader.one("#large .frame").get_attribute("aria-label").startswith("Heatmap of")


def test_colours_are_even_steps_and_zero_has_its_own(reader, pages, recorded):
    """Equal values of both signs are equally far from zero's colour, which has no hue."""
    name = "convbert.encoder.layer.2.attention.self.query"
    reader.open(f"{pages()}#{name}&open")
    ramp = reader.one("#large .ramp").value_of_css_property("background-image")
    stops = np.array([[int(n) for n in part.split(", ")[:3]] for part in
                      ramp.replace("rgb(", "|").replace(")", "").split("|")[1:]])  # fmt: skip
    assert len(stops) == 17
    middle = stops[8].astype(int)
    assert np.ptp(middle) <= 3 and middle.min() > 240
    blue, red = stops[0], stops[-1]
    assert blue[2] > blue[0] + 60 and red[0] > red[2] + 60
