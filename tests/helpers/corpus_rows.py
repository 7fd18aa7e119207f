"""The rows of a file of a corpus, as other libraries read them."""

import csv
import json


def rows_of(path):
    """Return the rows of a file as dictionaries, as Python's csv and json and pyarrow read it."""
    text = path.read_text("utf-8") if path.suffix != ".parquet" else ""
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines(keepends=True)))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()
