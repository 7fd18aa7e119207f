"""How long a live page takes in headless Chromium, and how much it fetches.

    python tests/benchmark_live.py

From a local server, with the engine in ../shared/pyodide or where NPBERT_ENGINE says. Reports what
should hold on an idle machine of two cores, and asserts nothing: the first pass of a reader's own
text within 10 s from nothing; within 300 ms from the last key afterwards, for 12 word pieces with
convbert-tiny; at most 20 MB fetched, as a server sends them that compresses (gzip).
"""

import gzip
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent / "helpers"), str(Path(__file__).parents[1])]

from browsing import open_browser  # noqa: E402
from living import ENGINE, LiveReader, require_engine, served  # noqa: E402

from npbert.live.folder import write_folder  # noqa: E402

TEXTS = [f"The children went to [MASK] to learn to {verb}." for verb in "sing draw play".split()]


def main():
    try:
        require_engine()
        browser = open_browser(tempfile.mkdtemp())
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.exit(f"benchmark_live: {missing}")
    folder = Path(tempfile.mkdtemp())
    write_folder(folder, "convbert-tiny", ["The sky is [MASK]."], address="engine/")
    with served(folder) as server:
        try:
            reader = LiveReader(browser).open(server.address)
            started = time.perf_counter()
            reader.type(TEXTS[0])
            print(f"from nothing to one's own text   {time.perf_counter() - started:6.2f} s")
            for text in TEXTS[1:]:
                reader.run("document.getElementById('live-text').value = arguments[0]", text[:-1])
                taken = reader.browser.execute_async_script(AFTER_A_KEY, text)
                print(f"from the last key to new values  {taken / 1000:6.3f} s")
        finally:
            browser.quit()
        paths = dict.fromkeys(server.asked)
    sizes = [(path, file_of(folder, path)) for path in paths]
    plain = sum(file.stat().st_size for _, file in sizes if file.is_file())
    packed = sum(len(gzip.compress(file.read_bytes())) for _, file in sizes if file.is_file())
    print(f"fetched                          {plain / 1e6:6.1f} MB")
    print(f"as a server with gzip sends it   {packed / 1e6:6.1f} MB")


# Type the last character, and wait until the page has drawn the pass of the whole text.
AFTER_A_KEY = """
const done = arguments[arguments.length - 1];
const box = document.getElementById("live-text");
box.value = arguments[0];
const started = performance.now();
box.dispatchEvent(new Event("input"));
const look = () => (npbert.page().texts[0] === arguments[0]
  ? done(performance.now() - started) : requestAnimationFrame(look));
look();
"""


def file_of(folder, path):
    """Return the file that a path of the server stands for."""
    path = path.partition("?")[0].lstrip("/") or "index.html"
    return ENGINE / Path(path).name if path.startswith("engine/") else folder / path


if __name__ == "__main__":
    main()
