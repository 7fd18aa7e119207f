"""Machine code kept on disk by numba, where a damaged file or a full disk is as good as no file.

numba believes what it reads. A file that was cut short makes every call fail, of every process to
come; one in which a few bytes are others may end the process, or compute something else. So a
digest goes with the machine code, and what cannot be read, or does not agree with its digest, is
compiled anew and replaced.

numba also takes machine code for current as long as the file of its function is unchanged. What a
function calls stands in other files here, so all of them count.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import pickle
from pathlib import Path
from typing import Any


def guard(compiled: Any) -> Any:
    """Guard the cache of a function that numba compiles with cache=True; return the function.

    What is wrapped is no public part of numba. Where a version has it otherwise, the cache stays
    as numba made it.
    """
    with contextlib.suppress(AttributeError):
        cache = compiled._cache
        cache._cache_file._source_stamp = (cache._cache_file._source_stamp, digest_of_sources())
        cache._impl = Checked(cache._impl)
        compiled._cache = Guarded(cache)
    return compiled


@functools.cache
def digest_of_sources() -> str:
    """Return a digest of all files that machine code is made of."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class Checked:
    """What turns a compiled function into what is kept and back, with a digest beside it."""

    def __init__(self, inner: Any):
        self.inner = inner

    def reduce(self, result: Any) -> tuple[bytes, bytes]:
        from numba.core.serialize import dumps

        content = dumps(self.inner.reduce(result))
        return hashlib.sha256(content).digest(), content

    def rebuild(self, context: Any, kept: Any) -> Any:
        digest, content = kept
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("the digest is not that of the machine code")
        return self.inner.rebuild(context, pickle.loads(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Guarded:
    """A function's cache that forgets what it cannot read, and need not keep what it cannot write.

    Whatever a damaged file makes pickle raise, and that can be anything, is the same here.
    """

    def __init__(self, inner: Any):
        self.inner = inner

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            return self.inner.load_overload(signature, context)
        except Exception:
            with contextlib.suppress(OSError):
                self.inner.flush()  # or else saving would stumble over the same file
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        with contextlib.suppress(Exception):
            self.inner.save_overload(signature, result)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
