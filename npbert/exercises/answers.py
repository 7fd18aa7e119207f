"""A file of answers, judged in a process of its own, each answer with a time limit."""

from __future__ import annotations

import ast
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from npbert.exercises.catalogue import EXERCISES
from npbert.exercises.judging import WRONG, Verdict, judge, raised

START_LIMIT = 60  # seconds for a process to begin, on a machine that has much else to do
LIMIT = 10.0  # seconds for one answer; the solutions take milliseconds


def defined_in(path: str) -> list[str]:
    """Return the exercises that a file of answers defines, in the order of the book.

    A file that cannot be read, is no Python or defines none of them is an OSError or a ValueError.
    """
    try:
        tree = ast.parse(Path(path).read_bytes(), path)
    except SyntaxError as error:
        raise ValueError(f"{path}: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, or nested too deep
        raise ValueError(f"{path}: no Python source: {error}") from None
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    found = [name for name in EXERCISES if name in names]
    if not found:
        raise ValueError(
            f"{path}: defines no function with the name of an exercise; `npbert exercises` has them"
        )
    return found


def judge_file(path: str, limit: float = LIMIT) -> Iterator[Verdict]:
    """Yield the verdict on every exercise that a file defines; none may take longer than `limit`.

    A file that raises, or does not come to its end, when it is run is a ValueError.
    """
    waiting = defined_in(path)
    context = multiprocessing.get_context("spawn")
    while waiting:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=judge_in_child, args=(path, waiting, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            if wait(ours, START_LIMIT) != "started":
                raise ValueError(f"{path}: no process could be started to judge it")
            trouble = wait(ours, limit)
            if not isinstance(trouble, str) or trouble:
                ending = "stops the process" if trouble is None else f"runs longer than {limit:g} s"
                raise ValueError(f"{path}: {trouble or ending}")
            while waiting:
                verdict = wait(ours, limit)
                name = waiting.pop(0)
                if isinstance(verdict, Verdict):
                    yield verdict
                    continue
                ending = "stops the process" if verdict is None else f"no result after {limit:g} s"
                yield Verdict(name, WRONG, (ending,))
                break  # the others get a new process
        finally:
            process.kill()
            process.join()
            ours.close()


def wait(connection: Any, limit: float) -> Any:
    """Return what the process says next; None if it has ended, False if it takes too long."""
    try:
        return connection.recv() if connection.poll(limit) else False
    except EOFError:
        return None


def judge_in_child(path: str, names: list[str], connection: Any) -> None:
    """Run the file, say what it raised ("" for nothing), then send the verdicts one by one."""
    connection.send("started")
    namespace: dict[str, Any] = {"__name__": "answers", "__file__": path}
    try:
        exec(compile(Path(path).read_bytes(), path, "exec"), namespace)
    except BaseException as error:
        connection.send(" ".join(raised(error, path).split()))
        return
    connection.send("")
    for name in names:
        connection.send(judge(EXERCISES[name], namespace.get(name)))
