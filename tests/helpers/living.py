"""A local web server for live pages with an engine beside them, and what a reader does there."""

import functools
import os
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browsing import Reader

from npbert.live.engine import HASHES

ROOT = Path(__file__).parents[2]
ENGINE = Path(os.environ.get("NPBERT_ENGINE") or ROOT.parent / "shared" / "pyodide")


def require_engine():
    """Skip where the engine is missing; where browsers are required, fail."""
    missing = [name for name in HASHES if not (ENGINE / name).is_file()]
    if missing:
        give_up = pytest.fail if os.environ.get("NPBERT_REQUIRE_BROWSER") else pytest.skip
        give_up(
            f"no {missing[0]} in {ENGINE}: NPBERT_ENGINE names the folder of the engine, which "
            "python tutorials/fetch_engine.py DIR fetches"
        )


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and the engine below /engine/."""

    asked: list  # the paths, in order

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.is_down:
            self.close_connection = True
            return
        super().do_GET()

    def translate_path(self, path):
        if path.startswith("/engine/"):
            return str(ENGINE / Path(path.partition("?")[0]).name)
        return super().translate_path(path)


@contextmanager
def served(folder):
    """Serve a folder; yields the server, with `address`, `asked`, and `is_down` to be set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    server.asked, server.is_down = [], False
    server.address = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class LiveReader(Reader):
    """What somebody does on a live page."""

    patience = 100  # seconds: a machine may have much else to do

    def wait(self, script, *arguments):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, self.patience, 0.05).until(
            lambda _: self.run(script, *arguments)
        )

    def wait_for(self, element, text):
        """Wait until the element of an id says a text."""
        self.wait("return document.getElementById(arguments[0]).textContent.includes(arguments[1])",
                  element, text)  # fmt: skip

    def type(self, text):
        """Put a text in the place of what stands there, as a reader does, and wait for its pass."""
        box = self.one("#live-text")
        box.click()
        self.run("arguments[0].select()", box)
        if text.isascii() and len(text) < 200:
            box.send_keys(text)
        else:  # no keyboard has these, no test the time
            self.run("document.execCommand('insertText', false, arguments[0])", text)
        self.wait("return npbert.page().texts.join('\\n') === arguments[0]", text)

    def ask(self, call, **request):
        """Ask the page's engine, as a script on it can."""
        return self.browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "npbert.ask(arguments[0], arguments[1])"
            ".then(done, (error) => done({error: String(error)}))",
            call, request,
        )  # fmt: skip

    def edit_file(self, file, text):
        """Change a whole file in the dialog that has all of them."""
        self.one("#live-source").click()
        self.wait("return document.getElementById('live-files').open")
        from selenium.webdriver.support.ui import Select

        Select(self.one("#live-files select")).select_by_value(file)
        self.run("arguments[0].value = arguments[1]", self.one(".file-edit"), text)
        self.one("#live-files .strong").click()
