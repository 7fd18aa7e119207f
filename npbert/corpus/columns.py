"""A result as columns: what they are called, what kinds they have, and how they are filled.

A kind is "string", "integer" or "number" (float32), a list of one of these, [kind], or a record of
several, {name: kind}. (Columns of an input can also be "boolean", or "json", a text.)
"""

from __future__ import annotations

from typing import Any

from npbert.corpus.jobs import Job

Kind = Any

ERROR = "error"  # the last column: what was wrong with a row, or null

CANDIDATE = {"score": "number", "token": "integer", "token_str": "string", "sequence": "string"}
LABEL = {"label": "string", "score": "number"}
SPAN = {"score": "number", "word": "string", "start": "integer", "end": "integer"}
ANSWER = {"answer": "string", "score": "number", "start": "integer", "end": "integer"}
CHOICE = {"choice": "string", "index": "integer", "score": "number"}


def result_kinds(job: Job) -> dict[str, Kind]:
    """Return the names of the columns of a job's results, in order, with their kinds."""
    options = job.options
    if job.command == "fill-mask":  # a list has an item for every mask
        return {"token_str": ["string"], "score": ["number"], "candidates": [[CANDIDATE]]}
    if job.command == "classify":
        return LABEL | ({} if options.get("top_k") == 1 else {"labels": [LABEL]})
    if job.command == "tokens":
        if options.get("aggregation_strategy", "none") == "none":
            return {"entities": [{"entity": "string", "index": "integer", **SPAN}]}
        return {"entities": [{"entity_group": "string", **SPAN}]}
    if job.command == "restore":
        return {"restored": "string"}
    if job.command == "answer":
        return ANSWER | ({} if options.get("top_k", 1) == 1 else {"answers": [ANSWER]})
    if job.command == "choose":
        return CHOICE | {"ranking": [CHOICE]}
    if job.command == "next":
        return LABEL
    vector: Kind = ["number"]
    return {"embedding": [vector] if options.get("pooling") == "none" else vector}


def result_columns(job: Job, result: Any) -> dict[str, Any]:
    """Return the values of these columns for a result, as it was written as JSON."""
    if job.command == "fill-mask":
        masks = result if isinstance(result[0], list) else [result]
        best = [candidates[0] for candidates in masks]
        values = {name: [each[name] for each in best] for name in ("token_str", "score")}
        return values | {"candidates": masks}
    if job.command == "embed":
        return {"embedding": result[0] if job.options.get("pooling") == "none" else result}
    if job.command in ("tokens", "restore"):
        return dict.fromkeys(result_kinds(job), result)
    ranked = result if isinstance(result, list) else [result]
    best = ranked[0] if ranked else {}
    return {
        name: ranked if isinstance(kind, list) else best.get(name)
        for name, kind in result_kinds(job).items()
    }


def check_names(names: list[str], results: list[str], source: str) -> None:
    """Raise ValueError where columns of an input have a name that results have."""
    for name in (*results, ERROR):
        if name in names:
            raise ValueError(
                f"{source} has a column {name!r}, which is what results are called: rename it"
            )
