"""Measures the fine-tuned checkpoints with npbert, beside chance and simple methods.

    python weights/evaluate_tasks.py                        # all of them, on the test split
    python weights/evaluate_tasks.py answer --split validation
    python weights/evaluate_tasks.py answer --examples      # the ten examples of the model card

Prints the rows of a Markdown table. The models run in NumPy; the linear classifiers among the
simple methods are trained with torch (the extra `train`), on the examples the model was trained
on; --models-only leaves the simple methods out.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

import numpy as np
from corpus import SPLITS
from tasks import TASKS
from tasks.showcase import TABLES

import npbert
from npbert import BertTokenizer

HERE = Path(__file__).parent
ENTRIES = ("input_ids", "attention_mask", "token_type_ids")


def logits_of(model, row: dict[str, np.ndarray]) -> np.ndarray:
    """Return what the head says of one row, without padding, as the commands do.

    [L] for a text, [T, L] for its tokens, [T, 2] for start and end, [N] for N choices.
    """
    if row["input_ids"].ndim == 2:
        scores = []
        for choice in range(len(row["input_ids"])):
            length = row["attention_mask"][choice].sum()
            alone = {name: row[name][None, choice : choice + 1, :length] for name in ENTRIES}
            scores.append(model(**alone).logits[0, 0])
        return np.array(scores)
    output = model(**{name: row[name][None] for name in ENTRIES})
    if "start_logits" in output:
        return np.stack([output.start_logits[0], output.end_logits[0]], axis=-1)
    return output.logits[0]


class Measured:
    """A checkpoint that is asked about examples, one at a time."""

    def __init__(self, task, directory: Path) -> None:
        self.tokenizer = BertTokenizer.from_pretrained(directory)
        self.model = getattr(npbert, f"AutoModelFor{task.HEAD}").from_pretrained(directory)

    def __call__(self, task, example):
        logits = logits_of(self.model, task.encode(example, self.tokenizer))
        return task.prediction(logits, example, self.tokenizer)


def table_row(name: str, figures: dict[str, float]) -> str:
    return f"| {name} | {' | '.join(f'{100 * value:.1f} %' for value in figures.values())} |"


def evaluate(name: str, arguments) -> None:
    task = importlib.import_module(f"tasks.{name}")
    directories = [arguments.directory] if arguments.directory else [HERE / n for n in task.NAMES]
    models = {d.name: Measured(task, d) for d in directories if (d / "config.json").exists()}
    if not models:
        print(f"\n{name}: no checkpoint yet")
        return
    if arguments.examples:
        for model_name, model in models.items():
            print(f"\n{model_name}\n\n" + "\n".join(TABLES[name](model)))
        return
    tokenizer = next(iter(models.values())).tokenizer
    examples = task.examples(arguments.split, tokenizer, arguments.limit)
    said = {}
    if not arguments.models_only:
        train = task.examples("train", tokenizer, task.EXAMPLES)
        said = task.baselines(train, examples, tokenizer)
    started = time.perf_counter()
    for model_name, model in models.items():
        said[f"**{model_name}**"] = [model(task, example) for example in examples]
    seconds = time.perf_counter() - started
    rows = {method: task.measures(examples, answers) for method, answers in said.items()}
    heads = list(next(iter(rows.values())))
    print(f"\n{name}: {len(examples):,} examples of the {arguments.split} split, {seconds:.0f} s\n")
    print(f"| | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for method, figures in rows.items():
        print(table_row(method, figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(TASKS)} (default: all)")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--directory", type=Path, help="another checkpoint of the task")
    parser.add_argument("--limit", type=int, help="the first examples only")
    parser.add_argument("--models-only", action="store_true", help="no simple methods")
    parser.add_argument("--examples", action="store_true", help="show those of the card instead")
    arguments = parser.parse_args()
    if unknown := set(arguments.tasks) - set(TASKS):
        parser.error(f"no task {', '.join(sorted(unknown))}; there are {', '.join(TASKS)}")
    for name in arguments.tasks or TASKS:
        evaluate(name, arguments)


if __name__ == "__main__":
    main()
