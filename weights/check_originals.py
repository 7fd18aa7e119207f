"""Holds npbert to the original checkpoints: to published values, and to transformers.

    python weights/check_originals.py
    python weights/check_originals.py google/mobilebert-uncased --report report.json

For whoever has a network: the checkpoints, about 2 GB together, are fetched from the Hugging Face
Hub (extra `hub`) where they are not in its cache. Each is held to the values of
published_values.json, and, where the extra `reference` is installed, to every output of the
transformers class that it was saved as, in float64. Prints a line for each comparison; --report
writes them as JSON, in the form that weights/README.md describes. The exit status is 0 where all is
right, 1 where a value is not, 2 where a checkpoint cannot be had.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import npbert
from npbert import auto
from npbert.checkpoints.directory import weights_file
from npbert.checkpoints.shipped import checkpoint_directory

VALUES = Path(__file__).with_name("published_values.json")
SENTENCES = ("The man worked as a [MASK].", "What is it?")  # compared with transformers, as a pair
TOLERANCE = 1e-9  # of the largest value, between two implementations in float64
WRONG, ABSENT = 1, 2  # exit statuses

Check = dict[str, Any]


def check(
    name: str, published: list[Check], hub: dict[str, Any], has_transformers: bool
) -> dict[str, Any]:
    """Return the report of one checkpoint."""
    report: dict[str, Any] = {"checkpoint": name, "error": None, "comparisons": []}
    try:
        directory = checkpoint_directory(name, **hub)
        report["directory"] = str(directory)
        report["weights"] = weights_file(directory).name
        report["class"] = auto.class_for(directory).__name__
    except (OSError, ValueError, ImportError) as error:
        return {**report, "error": " ".join(str(error).split())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of heads that are new, and of tensors of other heads
        report["comparisons"] += [with_published(directory, each) for each in published]
        if has_transformers:
            report["comparisons"] += with_transformers(directory)
    return report


def with_published(directory: Path, check: Check) -> Check:
    """Compare with a published value; `found` is what npbert gives."""
    report = {"with": f"published: {check['source']}", "expected": check.get("expected")}
    if "fill_mask" in check:
        report["what"] = f"fill_mask({check['fill_mask']!r})"
        try:
            count = len(check.get("expected", ["any"]))
            candidates = npbert.fill_mask(check["fill_mask"], directory, top_k=count)
            report["found"] = [candidate["token_str"] for candidate in candidates]
        except ValueError as error:
            report["found"] = str(error)
        if "error" in check:
            report["expected"] = f"... {check['error']} ..."
            return {**report, "right": check["error"] in report["found"]}
        return {**report, "right": report["found"] == check["expected"]}
    expected = np.array(check["expected"])
    places = "".join(f"[{place}]" for place in check["at"])
    report["what"] = f"{check['class']}: {check['output']}{places}[:{len(expected)}]"
    try:
        model = getattr(npbert, check["class"]).from_pretrained(directory)
        values = model([check["input_ids"]])[check["output"]]
    except ValueError as error:  # of a checkpoint that is another one than was published
        return {**report, "found": str(error), "right": False}
    for place in check["at"]:
        values = values[place]
    found = values[: len(expected)].astype(np.float64)
    difference = np.abs(found - expected)
    limit = check.get("tolerance", 0) + check.get("relative_tolerance", 0) * np.abs(expected)
    return {
        **report,
        "found": found.tolist(),
        "difference": float(difference.max()),
        "tolerance": float(np.max(limit)),
        "right": bool((difference <= limit).all()),
    }


def with_transformers(directory: Path) -> Iterator[Check]:
    """Compare every output in float64, as a part of its largest value."""
    import torch
    import transformers

    cls = auto.class_for(directory)
    tokenizer = npbert.AutoTokenizer.from_pretrained(directory)
    inputs = dict(tokenizer(*SENTENCES, return_tensors="np"))
    ours = cls.from_pretrained(directory, dtype=np.float64)(
        **inputs, output_hidden_states=True, output_attentions=True
    )
    theirs = getattr(transformers, cls.__name__).from_pretrained(
        directory, dtype=torch.float64, attn_implementation="eager"
    )
    with torch.no_grad():
        tensors = {key: torch.tensor(array) for key, array in inputs.items()}
        expected = theirs.eval()(**tensors, output_hidden_states=True, output_attentions=True)
    for name in ours:
        pairs = zip(_as_list(ours[name]), _as_list(expected[name]), strict=True)
        differences = [
            float(np.abs(mine - other.numpy()).max() / max(np.abs(other.numpy()).max(), 1e-300))
            for mine, other in pairs
        ]
        yield {
            "with": f"transformers {transformers.__version__}",
            "what": f"{cls.__name__}: {name}, of the largest value",
            "difference": max(differences),
            "tolerance": TOLERANCE,
            "right": max(differences) <= TOLERANCE,
        }


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield what is printed of a checkpoint."""
    if report["error"]:
        yield f"{report['checkpoint']}: not had: {report['error']}"
        return
    yield f"{report['checkpoint']}: {report['class']}, {report['weights']}"
    if not report["comparisons"]:
        yield "  no value is published, and it was not compared with transformers"
    for each in report["comparisons"]:
        verdict = "right" if each["right"] else "WRONG"
        figure = ""
        if "difference" in each:
            figure = f"{each['difference']:.1e} of {each['tolerance']:.1e}, "
        yield f"  {verdict}  {each['what']}: {figure}{each['with']}"
        if not each["right"] and "found" in each:
            yield f"         found {each['found']}, expected {each['expected']}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="only these checkpoints")
    parser.add_argument("--values", type=Path, default=VALUES, help="another published_values.json")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--published-only", action="store_true", help="leave transformers out")
    parser.add_argument("--cache-dir", metavar="DIR", help="the cache of the Hub")
    parser.add_argument("--local-files-only", action="store_true", help="fetch nothing")
    arguments = parser.parse_args(argv)
    known = json.loads(arguments.values.read_text("utf-8"))["checkpoints"]
    for name in arguments.names:
        if name not in known:
            parser.error(f"there is no {name}, expected some of {', '.join(known)}")
    hub = {"cache_dir": arguments.cache_dir, "local_files_only": arguments.local_files_only}
    libraries = all(map(importlib.util.find_spec, ("torch", "transformers")))
    compares = libraries and not arguments.published_only
    reports = []
    for name in arguments.names or known:
        reports.append(check(name, known[name], hub, compares))
        print("\n".join(lines(reports[-1])), flush=True)
    if arguments.report:
        about = {"npbert": npbert.__version__, "numpy": np.__version__, "checkpoints": reports}
        arguments.report.write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    if any(report["error"] for report in reports):
        return ABSENT
    is_right = all(each["right"] for report in reports for each in report["comparisons"])
    return 0 if is_right else WRONG


if __name__ == "__main__":
    sys.exit(main())
