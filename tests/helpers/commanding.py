"""Runs a command as somebody at a terminal does, but in this process."""

from npbert.__main__ import main


def run_command(capturing, *arguments):
    """Return the exit status of a command, its standard output and its standard error.

    capturing: pytest's capsys or capfd.
    """
    try:
        status = main([*map(str, arguments)])
    except SystemExit as leaving:  # argparse's own errors
        status = leaving.code
    return status, *capturing.readouterr()
