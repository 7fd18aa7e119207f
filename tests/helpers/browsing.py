"""A headless Chromium, and what somebody does in it who reads a page."""

import importlib.util
import os
import shutil

import pytest

# The text of the trace pages for which a test names none.
SENTENCE = "The children went to [MASK] to learn to read."
OPTIONS = """
--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --disable-dev-shm-usage
""".split()


def found(*names):
    return next((path for name in names if (path := shutil.which(name))), None)


def open_browser(profile):
    """Return a browser with an empty profile, or skip; where it is required, fail."""
    program = found("chromium", "chromium-browser", "google-chrome")
    driver = found("chromedriver")
    missing = [
        what
        for what, is_there in (
            ("Chromium", program),
            ("its driver, chromedriver", driver),
            ("the Python package selenium", importlib.util.find_spec("selenium")),
        )
        if not is_there
    ]
    if missing:
        give_up = pytest.fail if os.environ.get("NPBERT_REQUIRE_BROWSER") else pytest.skip
        give_up(f"not found: {', '.join(missing)}")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in [*OPTIONS, f"--user-data-dir={profile}"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    return opened


class Reader:
    """What somebody does who reads a page."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, address, width=1440, height=900, dark=False):
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.browser.get("about:blank")  # another #place alone would not load the page anew
        self.browser.get(address)
        # On a busy machine it may return before the blank page has gone.
        self.wait("return location.href !== 'about:blank' && document.readyState === 'complete'")
        return self

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def one(self, selector):
        [element] = self.all(selector)
        return element

    def card(self, name):
        return self.one(f'.card[aria-label="{name}"]')

    def click(self, element):
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def wait(self, script, *arguments):
        """Wait until a script returns something true, and return that."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, 10, 0.02).until(lambda _: self.run(script, *arguments))

    def current(self):
        """Return the name of the quantity that the reader is at."""
        return self.one(".card[aria-current]").get_attribute("aria-label")

    def is_drawn(self, element):
        """Tell whether a heatmap shows more than one colour, as soon as it is drawn."""
        return self.wait(
            """const canvas = arguments[0];
            if (!canvas.width) return false;
            const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(all.data.buffer)).size > 2;""",
            element,
        )
