"""The command line: `npbert COMMAND ...`, or `python -m npbert COMMAND ...`.

Little is imported before `main` runs: from there on Ctrl-C ends a command without a traceback.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as typing has it, which takes longer to import than all the rest here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WRONG_INPUT = 2  # the exit status of every error
INTERRUPTED = 130  # the one that a shell gives for Ctrl-C


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    interruptions = []

    def interrupt(*_: Any) -> None:
        interruptions.append(True)
        raise KeyboardInterrupt

    try:
        handle_as_before = _on_interruption(interrupt)
        try:
            _open_closed_streams()
            return _run(argv)
        finally:
            handle_as_before()
    except (Exception, SystemExit) as error:
        if not interruptions:  # which becomes another error where it falls into some imports
            return _report(error)
    except KeyboardInterrupt:
        pass
    _has_lost_output()
    return INTERRUPTED


def _run(argv: list[str] | None) -> int:
    import warnings

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.showwarning = _show_warning
    from npbert.commands.options import make_parser

    arguments = make_parser().parse_args(argv)
    status = arguments.run(arguments)
    sys.stdout.flush()
    return status or 0


def _report(error: Exception | SystemExit) -> int:
    """Say what is wrong, in one line, and return the exit status; raise what is no user's error."""
    is_output_lost = _has_lost_output()
    if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
        return 0
    if isinstance(error, (ValueError, OSError, ImportError)):
        message = _in_words(error)
    elif isinstance(error, SystemExit) and is_output_lost:  # what --help prints
        message = "standard output cannot be written to"
    else:
        raise error
    _say(f"npbert: error: {message}")
    return WRONG_INPUT


def _on_interruption(handler: Callable[..., None]) -> Callable[[], object]:
    """Let Ctrl-C call a function; return one that undoes this."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    try:
        if before is signal.default_int_handler:  # not ignored, as in a shell's background
            signal.signal(signal.SIGINT, handler)
            return lambda: signal.signal(signal.SIGINT, before)
    except ValueError:  # a thread other than the first, which Ctrl-C never interrupts
        pass
    return lambda: None


def _open_closed_streams() -> None:
    """Open standard streams that were closed (`<&-`), so that using one is an error of its own.

    Otherwise the next file to be opened would get its number, and what is printed. Standard error
    alone takes what nobody will read.
    """
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDONLY if name == "stdout" else os.O_WRONLY)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _has_lost_output() -> bool:
    """Return whether standard output fails, and then let go what still waits to be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _in_words(error: Exception) -> str:
    """Return what an error says, in one line; one of the operating system with the file's name.

    Only what is printed has no name: files are opened, read and written with theirs.
    """
    if not isinstance(error, OSError) or not error.strerror:
        return _one_line(error)
    import errno

    name = "standard output" if error.filename is None else error.filename
    return f"{name} is closed" if error.errno == errno.EBADF else f"{name}: {error.strerror}"


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    _say(f"npbert: warning: {_one_line(message)}")


def _say(message: str) -> None:
    try:  # noqa: SIM105  # contextlib is not imported yet, and would take its time
        print(message, file=sys.stderr)
    except OSError:  # then nobody can be told
        pass


if __name__ == "__main__":
    sys.exit(main())
