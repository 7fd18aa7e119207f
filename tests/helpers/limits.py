"""Runs a function under limits of time and memory, so that a test of a file that hangs can fail."""

import contextlib
import os
import pickle
import signal
import warnings


def within(function, *arguments, seconds=2.0, megabytes=100):
    """Return what the function returns, or raise what it raises, in a process with limits.

    seconds are those of the processor: beyond them it is an AssertionError. megabytes are what the
    process may take more than it has: beyond them Python raises MemoryError. Where there is no
    fork (Windows), the function runs without limits.
    """
    if not hasattr(os, "fork"):
        return function(*arguments)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which the child does without
        child = os.fork()
    if child == 0:
        os.close(reading)
        _run(writing, function, arguments, seconds, megabytes)
    os.close(writing)
    with open(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) != -signal.SIGPROF, f"took more than {seconds} s"
    assert answer, f"the process ended with {os.waitstatus_to_exitcode(status)}"
    raised, value = pickle.loads(answer)
    if raised:
        raise value
    return value


def _run(pipe, function, arguments, seconds, megabytes):
    """Run the function, write what came of it, and end the process whatever happens."""
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        _limit_memory(megabytes * 2**20)
        try:
            answer = False, function(*arguments)
        except BaseException as error:
            answer = True, error.with_traceback(None)
        signal.setitimer(signal.ITIMER_PROF, 0)
        with open(pipe, "wb") as file:
            pickle.dump(answer, file)
    finally:
        os._exit(0)


def _limit_memory(more):
    with contextlib.suppress(ImportError, OSError, ValueError):  # where a system has no such limit
        import resource

        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))
