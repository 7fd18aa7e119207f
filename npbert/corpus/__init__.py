"""A corpus through a task: files of texts in, files of results out, on all cores of a machine.

jobs.py       what is asked of every row: a task, a model, options
answers.py    the results of some rows, and what is wrong with the others
formats.py    which format a file has, by the ending of its name
lines.py      .txt and pipes: a line is a row
records.py    .jsonl, .csv, .parquet: a row has columns
columns.py    a result as columns, and what types they have
tables.py     results beside the columns of the input: .txt, .csv, .parquet
workers.py    processes that share a model, and results in order
json_results.py    results as JSON, with the digits of float32
"""
