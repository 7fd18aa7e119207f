"""Fetches the engine of live pages: python tutorials/fetch_engine.py OUT [--from ADDRESS].

For whoever hosts everything themselves: `npbert trace --live --engine ADDRESS`, and the book's
`tutorials/build.py --engine ADDRESS`, then name the address of that folder. Every file is checked:
the engine's own against npbert/live/engine.py, packages against the engine's lock file.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from npbert.checkpoints.writing import atomic_write, output_directory, reason
from npbert.live import engine

PACKAGES = ("numpy", "matplotlib")  # and what they depend on
PATIENCE = 60  # seconds without a byte


def fetch_engine(out: Path, address: str = engine.ADDRESS) -> list[str]:
    """Fetch what is not there yet; return the names of all files.

    Raises ValueError for an address that is not http(s), a wrong hash, or an `out` that is a file,
    and OSError for what cannot be fetched or written. Every file is there whole or not at all.
    """
    address = engine.checked_address(address)
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"the address to fetch from is {address!r}, expected http or https")
    output_directory(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, digest in engine.HASHES.items():
        fetch(out / name, address + name, digest)
    packages = json.loads((out / "pyodide-lock.json").read_text("utf-8"))["packages"]
    waiting = [*PACKAGES]
    for name in waiting:
        waiting += [each for each in packages[name]["depends"] if each not in waiting]
    for name in waiting:
        file = packages[name]["file_name"]
        fetch(out / file, address + file, packages[name]["sha256"])
    return [*engine.HASHES, *(packages[name]["file_name"] for name in waiting)]


def fetch(path: Path, address: str, digest: str) -> None:
    """Fetch one file, unless it is there; ValueError where it is not what its hash says.

    OSError, naming the address, where it cannot be fetched whole.
    """
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
        return
    print(address, flush=True)
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as response:
            content = response.read()
    except http.client.IncompleteRead as error:
        got = len(error.partial)
        raise OSError(f"{address}: the connection was cut after {got} bytes") from None
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        cause = error.reason if type(error) is urllib.error.URLError else error
        said = reason(cause) if isinstance(cause, OSError) else cause
        raise OSError(f"{address} cannot be fetched: {said}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ValueError(f"{address} has the SHA-256 {found}, expected {digest}; nothing is kept")
    with atomic_write(path) as file:
        file.write(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", metavar="OUT", type=Path, help="a directory for the engine")
    parser.add_argument("--from", dest="address", default=engine.ADDRESS, help="where it is now")
    arguments = parser.parse_args()
    try:
        names = fetch_engine(arguments.out, arguments.address)
    except (ValueError, OSError) as error:
        print(f"fetch_engine: error: {error}", file=sys.stderr)
        return 2
    size = sum((arguments.out / name).stat().st_size for name in names)
    print(f"{arguments.out}: {len(names)} files, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
