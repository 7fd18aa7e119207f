"""What the trace page does for whoever reads: answers in words, tokens, heads, parameters, layers.

In headless Chromium, as test_page_browser.py.
"""

import pytest
from browsing import SENTENCE

import npbert
from npbert.tracing.page import collecting, make_page

pytestmark = pytest.mark.browser

PAIR = "He was tired and cold.", "He drank a cup of [MASK] by the fire."
SELF = "convbert.encoder.layer.2.attention.self"


def point_at(reader, element):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(reader.browser).move_to_element(element).perform()


# ---- answers in words ----------------------------------------------------------------------


def test_labels_stand_below_their_tokens(reader, pages):
    text = "where are you going"
    reader.open(pages("squeezebert-tiny-restore", text))
    shown = [each.text for each in reader.all("#tokens .guess")]
    labels = npbert.token_classification(text, "squeezebert-tiny-restore", ignore_labels=[])
    assert [each.rpartition(" ")[0] for each in shown] == [each["entity"] for each in labels]


def test_what_the_model_says_of_the_text_is_written_out(reader, pages):
    choices = "It rained all night.", "The road was gone.", "Prices rise."
    for name, texts, expected in [
        ("convbert-tiny-disturbed", ["He go to to school."], "disturbed"),
        ("mobilebert-tiny-choice", choices, "The road was gone."),
        ("convbert-tiny-answer", ["Plants use light to make [MASK].", "They make sugar."], "sugar"),
    ]:
        reader.open(pages(name, *texts))
        best = reader.all("#answer .words")[0].text
        assert best.startswith(expected) and best.endswith("%"), name
    reader.open(pages())
    assert not reader.one("#answer").is_displayed()


# ---- a token through all layers ------------------------------------------------------------


def test_a_token_is_followed_through_all_layers(reader, pages):
    reader.open(f"{pages()}#{SELF}.query")
    assert reader.all(".followed, .row-of") == []
    mask = next(each for each in reader.all("#tokens button") if each.text == "[MASK]")
    mask.send_keys("\ue007")  # by keyboard: Enter
    rows = [each.text for each in reader.all(".followed tr")]
    assert [row.split()[0] for row in rows] == ["embeddings", *["layer"] * 4]
    best = npbert.fill_mask(SENTENCE)[0]
    assert f"{best['token_str']} {best['score']:.0%}" in rows[-1]
    assert "token=5" in reader.run("return location.hash")
    row = reader.card(f"{SELF}.query").find_element("css selector", ".row-of")
    assert row.text.startswith("[MASK]") and " to " in row.text
    reader.run("location.hash = 'convbert.encoder.layer.0.attention.self.query'")
    reader.wait("return document.querySelector('#values h2').textContent === 'Layer 0'")
    assert reader.all(".followed") and reader.all(".row-of")  # into other layers, too
    reader.click(reader.one(".followed .quiet"))
    assert reader.all(".followed, .row-of") == []


def test_the_row_of_a_token_has_its_numbers(reader, pages):
    reader.open(f"{pages()}#{SELF}.attend.probs&token=5")
    trace = npbert.trace(
        npbert.ConvBertForMaskedLM.from_pretrained("convbert-tiny"),
        **npbert.AutoTokenizer.from_pretrained("convbert-tiny")(SENTENCE, return_tensors="np"),
    )
    for head in (0, 1):
        row = trace[f"{SELF}.attend.probs"].value[0, head, 5]
        shown = reader.card(f"{SELF}.attend.probs").find_element("css selector", ".row-of small")
        least, most = (float(part.replace("−", "-")) for part in shown.text.split(" to "))
        assert (least, most) == pytest.approx((row.min(), row.max()), rel=0.01)
        reader.press("l")


def test_of_a_long_text_it_is_said_what_the_page_holds(reader, tmp_path, monkeypatch):
    monkeypatch.setattr(collecting, "BUDGET", 20_000)
    page = tmp_path / "cut.html"
    page.write_text(make_page("convbert-tiny", [SENTENCE]), "utf-8")
    reader.open(f"{page.as_uri()}#{SELF}.attend.probs&token=5")  # [MASK], which is always held
    assert "marked in every" in reader.one(".followed .note").text
    assert reader.card(f"{SELF}.attend.probs").find_elements("css selector", ".row-of")
    reader.open(f"{page.as_uri()}#{SELF}.attend.probs&token=3")
    assert "not all quantities" in reader.one(".followed .note").text


# ---- heads, filters, parameters ------------------------------------------------------------


def test_all_heads_stand_side_by_side(reader, pages):
    reader.open(f"{pages()}#{SELF}.attend.probs")
    card = reader.card(f"{SELF}.attend.probs")
    first, second = card.find_elements("css selector", ".heads button")
    assert first.location["y"] == second.location["y"]
    reader.click(second)
    assert second.get_attribute("aria-pressed") == "true"
    assert card.find_element("css selector", ".where").text == "head 1"


def test_filters_have_offsets_and_numbers(reader, pages):
    reader.open(f"{pages()}#{SELF}.filters&open")
    inner = reader.one("#large .inner")
    assert inner.size["width"] >= 9 * 34  # room for a number in each cell
    reader.one("#large .frame").send_keys("\ue014")  # an arrow: the first cell
    taps = []
    for _ in range(9):
        taps.append(reader.all("#large .readout .word")[-1].text)
        reader.press("\ue014")
    assert taps == ["−4", "−3", "−2", "−1", "0", "+1", "+2", "+3", "+4"]


def test_a_parameter_opens_like_a_quantity(reader, pages):
    reader.open(f"{pages()}#{SELF}.query")
    link = reader.card(f"{SELF}.query").find_element("css selector", "a.parameter")
    assert link.text.startswith("attention.self.query.weight")
    reader.click(link)
    reader.wait("return document.getElementById('large').open")
    assert reader.one("#large-name").get_attribute("title") == f"{SELF}.query.weight"
    assert reader.is_drawn(reader.one("#large canvas.whole"))
    weight = npbert.ConvBertForMaskedLM.from_pretrained("convbert-tiny").state_dict()
    facts = [each.text for each in reader.all("#large .facts dd")]
    most = float(weight[f"{SELF}.query.weight"].max())
    assert float(facts[3].replace("−", "-")) == pytest.approx(most, rel=0.01)
    assert "query" in reader.one("#large .links").text
    reader.browser.back()
    reader.wait("return !document.getElementById('large').open")
    assert reader.current() == f"{SELF}.query"


def test_a_parameter_is_found_by_its_name(reader, pages):
    reader.open(pages())
    box = reader.one("#search")
    box.send_keys("layer.1 attention.self.key.weight")
    [option] = [each for each in reader.all("#results [role=option]") if "Param" in each.text]
    option.click()
    reader.wait("return document.getElementById('large').open")
    name = "convbert.encoder.layer.1.attention.self.key.weight"
    assert reader.one("#large-name").get_attribute("title") == name


def test_ids_have_no_mean(reader, pages):
    reader.open(pages())
    facts = reader.card("inputs.input_ids").find_element("css selector", ".facts").text
    assert "mean" not in facts and "spread" not in facts and "max" in facts
    assert "mean" in reader.all(".card .facts")[-1].text


# ---- layers, and narrow windows ------------------------------------------------------------


def test_choosing_a_layer_goes_to_its_definition(reader, pages):
    reader.open(f"{pages()}#{SELF}.filters")
    reader.one('#sections button[aria-label="Layer 3"]').click()
    assert reader.current() == f"{SELF}.filters".replace("layer.2", "layer.3")
    line = next(each for each in reader.all("#source .line") if "def layer(" in each.text)
    pane = reader.one("#source")
    assert 0 <= line.location["y"] - pane.location["y"] < 120


def test_the_chosen_button_can_be_read_under_the_pointer(reader, pages):
    reader.open(f"{pages()}#{SELF}.filters")
    button = reader.one('#sections button[aria-pressed="true"]')
    before = button.value_of_css_property("color")
    point_at(reader, button)
    assert button.value_of_css_property("color") == before
    assert before != button.value_of_css_property("background-color")


@pytest.mark.parametrize("name", ["bert-tiny", "convbert-tiny"])
def test_nothing_is_cut_off_in_a_narrow_window(reader, pages, name):
    family = name.partition("-")[0]
    probs = f"{family}.encoder.layer.1.attention.self.attend.probs"
    reader.open(f"{pages(name, *PAIR)}#{probs}&open&token=3", 380, 800)
    wide = """const box = document.querySelector(arguments[0]);
        return [...box.querySelectorAll("*")].filter(each => {
          const {left, right, width} = each.getBoundingClientRect();
          const scrolls = each.closest(".frame, .top-frame");
          return width && (right > innerWidth + 1 || left < -1) && !scrolls;
        }).map(each => each.outerHTML.slice(0, 80))"""
    assert reader.run(wide, "#large") == []
    heads = reader.all("#large .heads button")
    last = heads[-1]
    reader.run("arguments[0].scrollIntoView()", last)
    box = reader.one("#large .heads")
    assert reader.run("return arguments[0].scrollHeight <= arguments[0].clientHeight + 1", box)
    reader.press("\ue00c")  # Esc
    reader.wait("return !document.getElementById('large').open")
    assert reader.run(wide, "#values") == []
