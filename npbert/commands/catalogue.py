"""What ships with npbert, and what each checkpoint is good for: `npbert models`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from npbert.checkpoints.directory import weights_file
from npbert.checkpoints.shipped import DEFAULTS, shipped_checkpoints
from npbert.commands.inspection import inspect
from npbert.tasks.loading import RESTORE, TASKS
from npbert.tasks.restoration import LABELS


def shipped_models() -> list[dict[str, Any]]:
    """Return what ships: name, family, head, parameters, megabytes on disk, commands, directory.

    The commands are those that the head can do, first those that use this checkpoint when none is
    named.
    """
    return [_describe(name, directory) for name, directory in shipped_checkpoints().items()]


def _describe(name: str, directory: Path) -> dict[str, Any]:
    report = inspect(directory)
    config = report["config"]
    class_name = str(report["class"])
    family, _, head = class_name.partition("For")
    tasks = [task for task in TASKS if class_name.endswith(task.heads)]
    if not {*(config.get("id2label") or {"": ""}).values()} <= {*LABELS}:
        tasks = [task for task in tasks if task is not RESTORE]
    tasks.sort(key=lambda task: DEFAULTS[task.name] != name)
    return {
        "name": name,
        "family": family.removesuffix("Model"),
        "head": f"For{head}" if head else "Model",
        "parameters": report["parameters"],
        "megabytes": round(weights_file(directory).stat().st_size / 1e6, 2),
        "commands": [task.command for task in tasks],
        "directory": str(directory),
    }
