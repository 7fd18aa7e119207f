"""The commands of the README and of the guide do what stands below them."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
from documents import DOCUMENTS, ROOT, blocks_of, text_of

from npbert.__main__ import main
from npbert.checkpoints.shipped import shipped_checkpoints
from npbert.commands.options import make_parser
from npbert.tasks.loading import TASKS

BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path)]
DEFAULT_OF = {task.command: task.default for task in TASKS}
NUMBER = re.compile(r"-?\d+\.\d+")


def commands_of(block):
    """Return the commands of npbert in a block, and of ports, without what installs it."""
    lines = block.strip().splitlines()
    wanted = [line for line in lines if "npbert " in line or line.startswith("node ")]
    return [re.sub(r"^.*install \. && ", "", line) for line in wanted]


CALLS = [(commands, shown) for block, shown in BLOCKS if (commands := commands_of(block))]


def printed_by(line, capsys):
    if line.startswith("node ") and not shutil.which("node"):
        pytest.skip("runs a port with Node.js, which was not found")
    if "|" in line or line.startswith("node "):
        line = line.replace("npbert ", f"{sys.executable} -m npbert ")
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True).stdout
    status = main(shlex.split(line)[1:])
    assert status == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("commands, shown", CALLS, ids=[commands[0][:40] for commands, _ in CALLS])
def test_a_command_prints_what_is_shown(commands, shown, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    for line in commands:
        name = re.search(r"(?:npbert|tutorials/)\W?([\w-]+)", line).group(1)
        if DEFAULT_OF.get(name, "convbert-tiny") not in shipped_checkpoints():
            pytest.skip(f"{DEFAULT_OF[name]} does not ship yet")
    if any(
        any(part in line for part in (" trace ", "mine.safetensors", "--output"))
        for line in commands
    ):  # they write files
        for folder in ("weights", "tutorials"):
            (tmp_path / folder).symlink_to(ROOT / folder)
        monkeypatch.chdir(tmp_path)
    printed = "".join(printed_by(line, capsys) for line in commands)
    assert printed
    if shown:  # the last digit of a number may differ between machines
        assert re.split(r"\s+", NUMBER.sub("", printed)) == re.split(r"\s+", NUMBER.sub("", shown))
        numbers = [list(map(float, NUMBER.findall(text))) for text in (printed, shown)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-3, abs=0.02)


@pytest.mark.parametrize("task", TASKS, ids=[task.name for task in TASKS])
def test_every_task_is_in_the_guide(task):
    table = text_of(ROOT / "tutorials" / "guide" / "commands.md")
    assert f"| `{task.command}` | `{task.name}` | `{task.default}` |" in table
    assert any(f"npbert {task.command} " in line for commands, _ in CALLS for line in commands)
    assert task.command in make_parser().format_help()
