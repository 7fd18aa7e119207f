"""The browser's Python that live pages run in: which version, where it is, and its hashes.

The engine is Pyodide. A page fetches it from an address; a worker refuses a file whose hash is not
the one here, and Pyodide itself refuses a package whose hash is not in its lock file.
"""

from __future__ import annotations

import base64
import re

VERSION = "0.27.7"
ADDRESS = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"  # the official distribution

# SHA-256 of the files that are fetched besides packages.
HASHES = {
    "pyodide.js": "b4cb23a53aba19c221659b9fb40a2f18281d685691dc06647fb0afd0681baf98",
    "pyodide.asm.js": "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51",
    "pyodide.asm.wasm": "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f",
    "python_stdlib.zip": "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16",
    "pyodide-lock.json": "9c45b916001a750f4102fc287494f3eab215909c7535c626a20db80fd6333e2c",
}


def integrity(name: str) -> str:
    """Return the hash of a file as browsers take it."""
    return f"sha256-{base64.b64encode(bytes.fromhex(HASHES[name])).decode()}"


def checked_address(address: str) -> str:
    """Return the address of the engine, with a slash at its end.

    It is an http(s) address, or one relative to the page. Raises ValueError for any other: what has
    spaces, quotes or semicolons in it would be read as something else in the policy of a page.
    """
    if not address or not re.fullmatch(r"[\w./:@%+~-]+", address):
        raise ValueError(f"the address of the engine is {address!r}, expected one like {ADDRESS}")
    if ":" in address.partition("/")[0] and not re.match(r"https?://[^/]+", address):
        raise ValueError(f"the address of the engine is {address!r}, expected http or https")
    return address.rstrip("/") + "/"
