"""What the tests of pages share: a browser for each file, its reader, and pages written once."""

import pytest
from browsing import SENTENCE, Reader, open_browser

from npbert.tracing.page import make_page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = open_browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.quit()


@pytest.fixture
def reader(browser):
    yield Reader(browser)
    assert browser.get_log("browser") == []  # no error, no warning, on any page


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return the address of the trace page of a model and texts, written once."""
    directory, written = tmp_path_factory.mktemp("pages"), {}

    def page(name="convbert-tiny", *texts):
        key = (name, *(texts or [SENTENCE]))
        if key not in written:
            written[key] = directory / f"{len(written)}.html"
            written[key].write_text(make_page(name, [*key[1:]]), "utf-8")
        return written[key].as_uri()

    return page
