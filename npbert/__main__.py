"""The command line: `npbert COMMAND ...`, or `python -m npbert COMMAND ...`."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from npbert.commands.options import make_parser
from npbert.commands.parsing import WRONG_INPUT

INTERRUPTED = 130  # the exit status that a shell gives for Ctrl-C


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.showwarning = _show_warning
    try:
        arguments = make_parser().parse_args(argv)
        status = arguments.run(arguments)
        sys.stdout.flush()
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"npbert: error: {_one_line(error)}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return status or 0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"npbert: warning: {_one_line(message)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
