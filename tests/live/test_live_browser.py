"""A live page as a reader uses it, in headless Chromium, with an engine from a folder.

Needs what tests/page/test_page_browser.py needs, and Pyodide: in ../shared/pyodide, or where
NPBERT_ENGINE says. Without them the tests are skipped, with NPBERT_REQUIRE_BROWSER they fail.
"""

import json
import urllib.parse

import numpy as np
import pytest
from browsing import open_browser
from living import LiveReader, require_engine, served

from npbert.live import session
from npbert.live.folder import write_folder

pytestmark = pytest.mark.browser

SENTENCE = "The children went to [MASK] to learn to read."
OWN = "Plants create [MASK] through a process."
HOSTILE = "</script><img src=x onerror=window.hit=1><b>\u2028 [MASK] &amp;"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    require_engine()
    opened = open_browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a live page."""
    made = tmp_path_factory.mktemp("live")
    write_folder(made, "convbert-tiny", [SENTENCE], address="engine/")
    page = made / "index.html"  # a machine may have much else to do
    page.write_text(page.read_text("utf-8").replace('"limit":20', '"limit":50'), "utf-8")
    return made


@pytest.fixture
def server(folder):
    with served(folder) as running:
        yield running


@pytest.fixture
def reader(browser):
    browser.set_script_timeout(120)
    reader = LiveReader(browser)
    reader.expected = []  # parts of messages that a test wants in the console
    yield reader
    found = [each["message"] for each in browser.get_log("browser")]
    unexpected = [text for text in found if not any(part in text for part in reader.expected)]
    assert unexpected == []
    browser.get("about:blank")


def line_of(file, text):
    rows = session.sources()[file].split("\n")
    [number] = [n for n, row in enumerate(rows, 1) if text in row]
    return number


def link(server, **state):
    return f"{server.address}#inputs.input_ids&live={urllib.parse.quote(json.dumps(state))}"


# ---- a text of one's own -------------------------------------------------------------------


def test_values_are_those_of_this_python(reader, server):
    """The answer within 1e-6. On the way to it float32 differs by more from processor to processor:
    the kernels of one BLAS by 2e-6 among themselves, as far as the engine from the exact values.
    """
    reader.open(server.address)
    reader.type(OWN)
    assert "plants" in reader.one("#tokens").text and reader.browser.title.endswith(OWN)
    here = session.run("convbert-tiny", [OWN])["page"]["quantities"]
    there = reader.run(
        "return npbert.page().quantities.map(q => [q.name, q.shape, q.mean, q.std, q.min, q.max])"
    )
    assert [q["name"] for q in here] == [each[0] for each in there]
    for mine, (_, shape, *numbers) in zip(here, there):
        assert mine["shape"] == shape
        scale = max(1.0, abs(mine["min"]), abs(mine["max"]))
        wanted = [mine[key] for key in ("mean", "std", "min", "max")]
        np.testing.assert_allclose(numbers, wanted, rtol=0, atol=4e-6 * scale)
    request = dict(model="convbert-tiny", texts=[OWN], quantity="generator_lm_head")
    theirs, ours = reader.ask("values", **request), session.values(**request)
    assert theirs["shape"] == ours["shape"]
    largest = np.abs(ours["values"]).max()
    np.testing.assert_allclose(theirs["values"], ours["values"], rtol=0, atol=1e-6 * largest)


def test_another_model_and_head(reader, server):
    from selenium.webdriver.support.ui import Select

    reader.open(server.address)
    Select(reader.one("#live-model")).select_by_value("bert-tiny")
    reader.wait("return npbert.page().model.name === 'bert-tiny'")
    heads = [option.text for option in Select(reader.one("#live-head")).options]
    assert heads == session.heads_of("bert-tiny")
    Select(reader.one("#live-head")).select_by_value("ForMaskedLM")
    reader.wait("return npbert.page().model.class === 'BertForMaskedLM'")
    assert len(Select(reader.one("#live-model")).options) == 8


def test_a_hostile_sentence_stays_text(reader, server):
    reader.open(server.address)
    reader.type(HOSTILE)
    assert reader.browser.title.endswith(HOSTILE.replace("\u2028", "\u2028"))
    assert reader.run("return window.hit === undefined")
    assert reader.all("#tokens img, #tokens b") == []
    long = "word " * 2000
    reader.type(long.strip())
    assert len(reader.all("#tokens .token")) == 128  # as many as the model has positions


def test_two_pages_at_once(reader, server):
    reader.open(server.address)
    first = reader.browser.current_window_handle
    reader.browser.switch_to.new_window("tab")
    second = reader.browser.current_window_handle
    reader.browser.get(server.address)
    texts = {first: "The sky is [MASK].", second: "Water is [MASK]."}
    for window, text in texts.items():
        reader.browser.switch_to.window(window)
        box = reader.one("#live-text")
        box.click()
        box.clear()
        box.send_keys(text)
    for window, text in texts.items():
        reader.browser.switch_to.window(window)
        assert reader.wait("return npbert.page().texts[0] === arguments[0]", text)
    reader.browser.close()
    reader.browser.switch_to.window(first)


def test_without_an_engine_the_page_stays_and_it_can_be_tried_again(reader, server):
    reader.expected = ["ERR_"]
    reader.open(server.address)
    cards = len(reader.all(".card"))
    server.is_down = True
    reader.one("#live-text").click()
    reader.wait_for("live-state", "cannot be fetched")
    assert len(reader.all(".card")) == cards
    reader.one('#sections button[aria-label="Layer 2"]').click()
    assert reader.one("#values h2").text == "Layer 2"
    server.is_down = False
    reader.type(OWN)
    # What is there needs no network any more; another model does.
    server.is_down = True
    reader.type("The sky is [MASK].")
    from selenium.webdriver.support.ui import Select

    Select(reader.one("#live-model")).select_by_value("squeezebert-tiny")
    reader.wait_for("live-state", "squeezebert-tiny")
    reader.wait_for("live-state", "cannot be fetched")
    assert reader.run("return npbert.page().model.name") == "convbert-tiny"


def test_nothing_is_asked_of_another_host(reader, server, tmp_path):
    """Not by the page, and not by code that a reader, or a link, brings in: the policy says so."""
    reader.expected = ["Content Security Policy", "Failed to fetch"]
    reader.open(server.address)
    with served(tmp_path) as other:
        line = line_of("ops.py", "return x @ p.weight.T + p.bias")
        rows = session.sources()["ops.py"].split("\n")
        # Once: each time that it is refused stands in the console.
        once = f"self.once ||= fetch('{other.address}secret').catch(() => 0)"
        rows[line - 1] = f'    import js; js.eval("{once}"); return x @ p.weight.T + p.bias'
        reader.edit_file("ops.py", "\n".join(rows))
        reader.wait("return npbert.page().change")
        assert other.asked == []
    names = reader.run("return performance.getEntriesByType('resource').map(each => each.name)")
    assert all(name.startswith((server.address, "blob:", "data:")) for name in names)
    assert any("engine/pyodide.asm.wasm" in path for path in server.asked)


# ---- changed lines -------------------------------------------------------------------------


def test_a_line_is_changed_in_its_place_and_put_back(reader, server):
    reader.open(f"{server.address}#convbert.encoder.layer.0.attention.self.near")
    right = reader.one("#tokens .guess").text
    assert "near = dynamic_convolution(local, filters)" in reader.one("#source .line.now").text
    reader.press("e")
    box = reader.wait("return document.querySelector('.line-edit')")
    reader.run("arguments[0].select()", box)  # clear() would leave the box, which takes its text
    box.send_keys("    near = dynamic_convolution(local, np.flip(filters, -1))\n")
    reader.wait_for("live-change", "the filters of the dynamic convolution from right to left")
    change = reader.one("#live-change")
    assert "convbert.encoder.layer.0.attention.self.near differs" in change.text
    assert reader.is_drawn(change.find_element("css selector", "canvas.map"))
    assert reader.one("#tokens .guess").text != right
    assert "np.flip" in reader.one("#source .line.edited").text
    assert reader.all(".card.changed .difference canvas")
    reader.one("#live-undo").click()
    reader.wait("return !npbert.page().change")
    assert reader.one("#tokens .guess").text == right
    assert not reader.one("#live-change").is_displayed()


TEN = [
    "no_scale", "heads_interleaved", "softmax_over_queries", "taps_reversed", "tanh_gelu",
    "dynamic_convolution_causal", "filters_without_query", "convolution_first", "no_mask",
    "residual_of_layer_input",
]  # fmt: skip


def test_ten_classic_mistakes_are_named(reader, server):
    reader.open(server.address)
    reader.type(OWN)
    known = {each["name"]: each for each in session.run("convbert-tiny", [OWN])["mistakes"]}
    for name in TEN:
        for file in dict.fromkeys(edit[0] for edit in known[name]["edits"]):
            rows = session.sources()[file].split("\n")
            for place, line, text in known[name]["edits"]:
                if place == file:
                    rows[line - 1] = text
            reader.edit_file(file, "\n".join(rows))
        reader.wait_for("live-change", known[name]["about"])
        assert known[name]["about"] in reader.one("#live-change").text
        reader.one("#live-reset").click()
        reader.wait("return !npbert.page().change")


def test_the_menu_plants_a_mistake(reader, server):
    from selenium.webdriver.support.ui import Select

    reader.open(server.address)
    reader.type(OWN)
    Select(reader.one("#live-mistake")).select_by_value("filters_reversed")
    reader.wait_for("live-change", "A classic mistake: the filters of the dynamic convolution")
    assert "filters[..., ::-1])" in reader.one("#live-change .edits ins").text


def test_errors_are_shown_at_their_line(reader, server):
    reader.open(f"{server.address}#convbert.encoder.layer.0.attention.self.near")
    line = line_of("kernels.py", "np.einsum(")
    rows = session.sources()["kernels.py"].split("\n")
    for text, message in (
        ("    return windows +", "SyntaxError"),
        ("    return none", "NameError"),
    ):
        rows[line - 1] = text
        reader.edit_file("kernels.py", "\n".join(rows))
        reader.wait_for("live-change", f"kernels.py, line {line}: {message}")
        shown = reader.run(
            "return [...document.querySelectorAll('.line.wrong')].map(e => e.dataset.place)"
        )
        assert set(shown) == {f"kernels.py:{line}"}
    # Without an end it is stopped, and the next one starts anew.
    rows[line - 1] = "    while True: pass"
    reader.edit_file("kernels.py", "\n".join(rows))
    reader.wait_for("live-change", "it was stopped")
    reader.one("#live-reset").click()
    reader.wait_for("live-state", "run in")


def test_a_link_carries_everything_and_its_edits_wait(reader, server):
    line = line_of("ops.py", "math.sqrt(query.shape[-1])")
    edits = [["ops.py", line, "    scores = query @ key.swapaxes(-1, -2)"]]
    reader.open(link(server, model="bert-tiny", head="ForMaskedLM", texts=[OWN], edits=edits))
    reader.wait("return npbert.page().model.class === 'BertForMaskedLM'")
    assert reader.run("return npbert.page().change === undefined")
    [accept] = reader.all("#live-change button")
    accept.click()
    reader.wait_for("live-change", "not divided by the root of the head width")
    address = reader.run("return location.href")
    reader.browser.get("about:blank")
    reader.open(address)
    reader.wait("return document.querySelector('#live-change ins')")
    assert "key.swapaxes" in reader.one("#live-change ins").text


@pytest.mark.parametrize("state", ["x", "[]", "null", '{"model": "../etc", "texts": ["a"]}', "%"])
def test_a_wrong_link_is_the_page_as_it_was_written(reader, server, state):
    reader.open(f"{server.address}#inputs.input_ids&live={state}")
    assert reader.current() == "inputs.input_ids"
    assert not reader.one("#live-change").is_displayed()
