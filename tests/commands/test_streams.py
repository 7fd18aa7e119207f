"""Standard streams that are closed or full, and Ctrl-C before a command has begun: no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import npbert

ROOT = Path(npbert.__file__).parents[1]
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(os.name != "posix", reason="how a shell closes streams"),
]

SHOW = "npbert inspect CHECKPOINT"
ASK = "npbert fill-mask 'the [MASK] sat' --model CHECKPOINT"
READ = "npbert fill-mask --input - --model CHECKPOINT"
CLOSED_OUT = "npbert: error: standard output is closed\n"
CLOSED_IN = "npbert: error: standard input is closed\n"

# a command: exit status, what stands on standard error
STREAMS = {
    f"{ASK} >&-": (2, CLOSED_OUT),
    f"printf '[MASK]\\n' | {READ} >&-": (2, CLOSED_OUT),
    f"{READ} <&-": (2, CLOSED_IN),
    "npbert answer a --context-file - <&-": (2, CLOSED_IN),
    f"{ASK} <&- 2>&-": (0, ""),
    f"{ASK} --nosuch 2>&-": (2, ""),
    "npbert --version >&- 2>&- <&-": (2, ""),
    "npbert --help >&-": (2, "npbert: error: standard output cannot be written to\n"),
    f"printf '[MASK]\\n' | {READ} --output OUT >&- 2>&-": (0, ""),
}
if Path("/dev/full").exists():
    FULL = "npbert: error: standard output: No space left on device\n"
    STREAMS |= {
        f"{SHOW} >/dev/full": (2, FULL),
        f"printf '[MASK]\\n' | {READ} >/dev/full": (2, FULL),
    }


@pytest.mark.parametrize("command", STREAMS)
def test_a_stream_that_is_closed_or_full_is_one_line_or_nothing(command, checkpoint, tmp_path):
    status, message = STREAMS[command]
    line = command.replace("npbert ", f"{sys.executable} -m npbert ")
    line = line.replace("CHECKPOINT", str(checkpoint)).replace("OUT", str(tmp_path / "out"))
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (status, message)
    if "--output" in command:
        assert (tmp_path / "out").read_text().count('"result"') == 1
    if ">&-" not in command.replace("2>&-", "") and status == 0 and "--output" not in command:
        assert "the" in done.stdout


# Ctrl-C comes when a module is looked for; some of these imports make another error of it.
INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
for name in [name for name in sys.modules if name.partition(".")[0] in ("argparse", "datetime")]:
    del sys.modules[name]
sys.meta_path.insert(0, Interrupting())
from npbert.__main__ import main
sys.exit(main(["fill-mask", "the [MASK] sat", "--model", {model!r}]))
"""


@pytest.mark.parametrize("module", ["argparse", "npbert.commands.tasks", "numpy", "datetime"])
def test_ctrl_c_during_an_import_is_quiet(module, checkpoint):
    script = INTERRUPTED.format(module=module, model=str(checkpoint))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_little_is_imported_before_ctrl_c_is_heeded():
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import npbert.__main__; "
    script += (
        "print([name for name in ('typing', 'contextlib', 'argparse') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_ctrl_c_stays_ignored_where_it_is(checkpoint):
    """As in what a shell runs in the background."""
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    script += INTERRUPTED.format(module="numpy", model=str(checkpoint)).replace(
        "signal.signal(signal.SIGINT, signal.default_int_handler)", ""
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "") and "the" in done.stdout


def test_main_leaves_the_handler_of_ctrl_c_as_it_was(capsys):
    from npbert.__main__ import main

    before = signal.getsignal(signal.SIGINT)
    assert main(["models"]) == 0
    assert signal.getsignal(signal.SIGINT) is before
