"""The built book: its links, its pictures, and how it looks in headless Chromium.

NPBERT_BOOK in the environment is the directory of a built site (`python tutorials/build.py OUT`);
without it the tests are skipped. Those in Chromium need what the trace page's tests need.
"""

import functools
import json
import os
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import npbert

BOOK = Path(os.environ.get("NPBERT_BOOK", "."))
pytestmark = pytest.mark.skipif(
    "NPBERT_BOOK" not in os.environ, reason="NPBERT_BOOK does not name a built book"
)
PAGES = sorted(BOOK.rglob("*.html")) if "NPBERT_BOOK" in os.environ else []
# Pages of every kind, for what takes long.
SHOWN = """index tutorials/01_from_a_sentence_to_a_word tutorials/03_bert tutorials/05_mobilebert
tutorials/11_how_the_weights_were_learnt npbert/mobilebert.py npbert/ops.py api/tasks trace/index
weights/golden/README search npbert/golden/kit.py tutorials/guide/how_fast tutorials/guide/commands
trace/convbert-tiny trace/mobilebert-tiny-choice""".split()
EXTERNAL = ("http:", "https:", "mailto:", "data:", "javascript:")
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class Elements(HTMLParser):
    """The elements of a page with their attributes, and every place that a link may lead to."""

    def __init__(self, text):
        super().__init__()
        self.found, self.places, self.is_data = [], {"", "top"}, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.is_data = tag == "script" and known.get("id") == "data"
        self.found.append((tag, known))
        self.places |= {known.get("id"), known.get("name")} - {None}

    def handle_data(self, text):
        if self.is_data:  # of a trace page, which leads to its quantities by their names
            self.places |= {each["name"] for each in json.loads(text).get("quantities", [])}
            self.is_data = False


@functools.cache
def elements(path):
    return Elements(path.read_text("utf-8"))


def is_trace(path):
    return path.parent.name == "trace" and path.name != "index.html"


def test_the_book_has_its_pages():
    names = {path.relative_to(BOOK).as_posix().removesuffix(".html") for path in PAGES}
    assert set(SHOWN) <= names
    assert sum(name.startswith("tutorials/") for name in names) >= 12
    assert len([path for path in PAGES if is_trace(path)]) == 8


def dead_links(path):
    """Yield every link of a page that leads to no page, or to no place in one."""
    for tag, known in elements(path).found:
        target = known.get("href") if tag in ("a", "link") else known.get("src")
        if not target or target.startswith(EXTERNAL):
            continue
        parts = urlsplit(target)
        there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        there = there / "index.html" if there.is_dir() else there
        if not there.exists() or (
            parts.fragment
            and there.suffix == ".html"
            and unquote(parts.fragment) not in elements(there).places
        ):
            yield target


def test_every_link_inside_leads_somewhere():
    dead = {path.name: found for path in PAGES if (found := [*dead_links(path)])}
    assert not dead


def test_dead_links_are_found(tmp_path):
    (tmp_path / "b.html").write_text('<p id="here">')
    page = tmp_path / "a.html"
    page.write_text(
        '<a href="b.html#here"><a href="b.html#gone"><a href="c.html"><img src="d.png">'
    )
    assert [*dead_links(page)] == ["b.html#gone", "c.html", "d.png"]


def test_nothing_is_loaded_from_elsewhere():
    for path in PAGES:
        for tag, known in elements(path).found:
            for name, value in known.items():
                if (tag, name) in LOADED:
                    assert not (value or "").startswith(("http:", "https:", "//")), path
    for path in [*BOOK.rglob("*.css")]:
        assert "url(http" not in path.read_text("utf-8"), path


def test_every_page_says_what_it_may_load():
    for path in PAGES:
        found = [known for tag, known in elements(path).found if tag in ("meta", "script", "link")]
        places = [n for n, known in enumerate(found) if "Content-Security" in str(known)]
        assert len(places) == 1, path
        before = found[: places[0]]
        assert not [known for known in before if "src" in known or "href" in known], path
        runs = any("notebook.js" in known.get("src", "") for known in found)
        allowed = found[places[0]]["content"]
        assert allowed.startswith("default-src 'none'")
        assert ("worker-src blob:" in allowed) == (runs or is_trace(path)), path


def test_every_picture_is_described():
    count = 0
    for path in PAGES:
        for tag, known in elements(path).found:
            if tag == "img":
                count += 1
                assert known.get("alt", "").strip(), f"{path}: {known.get('src', '')[:80]}"
    assert count > 40


def test_chapters_show_their_outputs_and_lead_to_lines():
    for path in (BOOK / "tutorials").glob("[0-9]*.html"):
        text = path.read_text("utf-8")
        assert "cell_output" in text and "Traceback" not in text, path
    chapter = elements(BOOK / "tutorials/05_mobilebert.html")
    targets = {known.get("href", "") for tag, known in chapter.found if tag == "a"}
    assert sum("npbert/mobilebert.py.html#L" in target for target in targets) >= 5


@pytest.mark.parametrize("family", ["bert", "convbert", "mobilebert", "squeezebert"])
def test_lines_have_values_and_calls_unfold(family):
    page = elements(BOOK / f"npbert/{family}.py.html")
    classes = [known.get("class") or "" for _, known in page.found]
    assert classes.count("value") > 40 and classes.count("equation") > 20
    assert classes.count("call") > 10


def test_the_reference_has_every_public_name():
    places = set().union(*(elements(path).places for path in (BOOK / "api").glob("*.html")))
    described = {place.rpartition(".")[2] for place in places if place.startswith("npbert.")}
    assert set(npbert.__all__) - described == set()


# ---- in Chromium ---------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address():
    """Return the address of a page, at a server of its own: of files Chromium lists no requests."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=BOOK))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lambda name: f"http://127.0.0.1:{server.server_port}/{name}.html"
    server.shutdown()
    server.server_close()


def click(reader, element):
    """Click; for a link, wait for its page. Where the page scrolls smoothly, nothing stands."""
    target = element.get_attribute("href")
    reader.run("arguments[0].click()", element)
    if target:
        reader.wait(
            "return location.href === arguments[0] && document.readyState === 'complete'", target
        )


each_page = pytest.mark.parametrize("name", SHOWN)


@pytest.mark.browser
@each_page
def test_nothing_is_wider_than_a_phone(reader, address, name):
    reader.open(address(name), width=380, height=800)
    width = reader.run("return document.documentElement.scrollWidth")
    wide = reader.run(
        """return [...document.querySelectorAll("article *, main *")].filter(each =>
        each.getBoundingClientRect().right > innerWidth + 1
        ).slice(0, 5).map(each => each.outerHTML.slice(0, 90))"""
    )
    assert width <= 380, wide


@pytest.mark.browser
@each_page
def test_nothing_is_asked_of_another_host(reader, address, name):
    reader.open(address(name))
    asked = reader.run("return performance.getEntriesByType('resource').map(each => each.name)")
    here = address("").removesuffix(".html")
    assert all(each.startswith((here, "data:")) for each in asked)
    assert asked or name.startswith("trace/")  # which has everything in it


# Of every element with text of its own: the contrast of its colour and of what lies behind it.
CONTRAST = (Path(__file__).parents[1] / "helpers/contrast.js").read_text("utf-8")


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@each_page
def test_contrast(reader, address, name, dark):
    reader.open(address(name), dark=dark)
    back = reader.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back.split("(")[1].strip(")").split(",")[:3])) < 384) is dark
    assert reader.run(CONTRAST) == []


@pytest.mark.browser
def test_little_contrast_is_found(reader, address):
    reader.open(address("index"))
    reader.run("document.querySelector('h1').style.color = '#bbb'")
    [found] = reader.run(CONTRAST)
    assert "H1" in found


@pytest.mark.browser
def test_search_finds_a_function_and_a_word(reader, address):
    for word, page in (("bottleneck", "05_mobilebert"), ("span_filters", "convbert.py")):
        reader.open(f"{address('search')}?q={word}")
        found = reader.wait(
            "return [...document.querySelectorAll('#search-results li a')].map(a => a.href)"
        )
        assert any(page in target for target in found), found


@pytest.mark.browser
def test_next_and_previous(reader, address):
    reader.open(address("tutorials/03_bert"))
    assert "04_convbert" in reader.one("a.next-page").get_attribute("href")
    assert "02_words" in reader.one("a.prev-page").get_attribute("href")


@pytest.mark.browser
def test_from_the_first_page_to_a_line_and_its_value_in_three_clicks(reader, address):
    """MobileBERT's bottleneck: its chapter with the picture, the line in the source, the value."""
    reader.open(address("index"))
    click(reader, reader.all('article a[href*="05_mobilebert"]')[0])
    assert any("bottleneck" in image.get_attribute("alt") for image in reader.all("article img"))
    link = next(
        a for a in reader.all('article a[href*="mobilebert.py.html#L"]') if a.text == "bottleneck"
    )
    click(reader, link)
    row = reader.one(".source .row:target")
    assert "def bottleneck" in row.text
    assert "mobilebert-tiny" in row.text and "called" in row.text
    shapes = reader.run(
        """const shown = [...document.querySelectorAll(".row:target ~ .row .axes")].slice(0, 9);
        return shown.map(each => each.textContent)"""
    )
    assert "[B 1, T 12, C 96]" in shapes


@pytest.mark.browser
def test_a_call_unfolds_with_its_own_values(reader, address):
    reader.open(address("npbert/mobilebert.py"))
    call = next(each for each in reader.all("details.call") if "linear" in each.text)
    click(reader, call.find_element("css selector", "summary"))
    assert "x @ p.weight.T + p.bias" in call.text and "±" in call.text


@pytest.mark.browser
def test_a_call_of_the_same_page_unfolds_and_so_do_calls_in_it(reader, address):
    reader.open(address("npbert/convbert.py"))
    call = next(
        each for each in reader.all("details.call[data-def]") if "mixed_attention" in each.text
    )
    click(reader, call.find_element("css selector", "summary"))
    assert "near = dynamic_convolution(local, filters)" in call.text and "±" in call.text
    inner = next(
        each
        for each in call.find_elements("css selector", "details[data-def]")
        if "span_filters" in each.text
    )
    click(reader, inner.find_element("css selector", "summary"))
    assert "matched = " in inner.text
    ids = reader.run("return [...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))
