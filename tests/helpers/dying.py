"""Processes that are killed in the middle of what they do, and ones that may not write much."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

# What changes a file system, besides writing to an open file.
CALLS = ("chmod", "fsync", "mkdir", "rename", "replace", "rmdir", "unlink")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def killed_at(number, action):
    """Run an action in a child that is killed before its call `number` of CALLS.

    Return False if there were fewer, so that the action came to its end.
    """

    def counting(call):
        def counted(*arguments, **options):
            nonlocal number
            number -= 1
            if number == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counted

    def limited():
        for name in CALLS:
            setattr(os, name, counting(getattr(os, name)))
        action()

    return not in_child(limited)


def killed_after(seconds, action):
    """Run an action in a child over and over, until it is killed after that time."""

    def forever():
        while True:
            action()

    child = started(forever)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def random_times(count, longest, seed=0):
    rng = random.Random(seed)
    return [rng.uniform(0, longest) for _ in range(count)]


def in_child(action):
    """Run an action in a child; return whether it came to its end, or fail if it raised."""
    _, status = os.waitpid(started(action), 0)
    if os.WIFSIGNALED(status):
        return False
    assert os.WEXITSTATUS(status) == 0, "the child raised an error"
    return True


def started(action):
    """Return the process id of a child that runs an action and then exits, 0 if nothing failed."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        action()
        status = 0
    finally:
        os._exit(status)


LITTLE_DISK = """
import contextlib, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

@contextlib.contextmanager
def little_disk(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def run_on_a_little_disk(code, *arguments):
    """Run code; `with little_disk(size):` no file can grow beyond that, as on a full disk."""
    return subprocess.run(
        [sys.executable, "-c", LITTLE_DISK + code, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
