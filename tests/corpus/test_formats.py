"""Files in and out, by their endings: columns kept, results as columns, errors before any work."""

import datetime
import json
import os

import pytest
from corpus_rows import rows_of

import npbert
from npbert.commands.options import make_parser
from npbert.corpus.columns import result_kinds
from npbert.corpus.jobs import FUNCTIONS, Job
from npbert.corpus.tables import arrow_type

TEXTS = ["the cat sat", 'a dog, un"able"\non a mat', "", "cat " * 50, "a stone"]
WRONG = [3, 4]  # the empty one, and the one that is too long
ROWS = [{"n": i, "text": text, "tag": f"{i}%"} for i, text in enumerate(TEXTS, 1)]


def make(path, rows=ROWS):
    """Write rows as a file, with the standard library or pyarrow."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    elif path.suffix == ".csv":
        cells = [[*rows[0]], *([str(value) for value in row.values()] for row in rows)]
        lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
        path.write_text("\r\n".join(lines) + "\r\n", "utf-8-sig")
    else:
        pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow (extra `data`)")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=2)
    return path


@pytest.fixture
def vectors(directories, monkeypatch):
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    good = [text for i, text in enumerate(TEXTS, 1) if i not in WRONG]
    return npbert.feature_extraction(good, directories["embed"], "mean")


RECORDS = [".jsonl", ".csv", ".parquet"]


@pytest.mark.parametrize("out", RECORDS)
@pytest.mark.parametrize("into", RECORDS)
def test_columns_are_kept_beside_results(run, tmp_path, vectors, into, out):
    if ".parquet" in (into, out):
        pytest.importorskip("pyarrow", reason="needs pyarrow (extra `data`)")
    make(tmp_path / f"in{into}")
    status, err = run("embed", "--input", f"in{into}", "--output", f"out{out}")
    assert status == 1 and f"2 {'lines' if into == '.jsonl' else 'rows'} (3, 4) could not" in err
    assert not list(tmp_path.glob("*.unfinished"))
    found = rows_of(tmp_path / f"out{out}")
    name = "result" if out == ".jsonl" else "embedding"
    numbered = iter(vectors)
    for row, expected in zip(found, ROWS, strict=True):
        as_text = ".csv" in (into, out)
        kept = {key: str(value) if as_text else value for key, value in expected.items()}
        assert kept.items() <= row.items()
        if expected["n"] in WRONG:
            assert ("empty" in row["error"]) or ("52 tokens" in row["error"])
            assert not row.get(name)
        else:
            vector = json.loads(row[name]) if out == ".csv" else row[name]
            assert vector == pytest.approx(next(numbered), rel=1e-4, abs=1e-6)
            assert not row.get("error")
    if out != ".jsonl":
        assert [*found[0]] == ["n", "text", "tag", "embedding", "error"]


def test_lines_of_text_make_tables(run, tmp_path, vectors):
    (tmp_path / "in.txt").write_text("the cat sat\n\na stone\n")
    status, err = run("embed", "--input", "in.txt", "--output", "out.csv")
    assert status == 0 and "1 blank line (2) skipped" in err
    rows = rows_of(tmp_path / "out.csv")
    assert [row["text"] for row in rows] == ["the cat sat", "a stone"]
    status, _ = run("embed", "--input", "in.txt", "--output", "out.txt")
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert [list(map(float, line.split())) for line in lines] == [
        pytest.approx(json.loads(row["embedding"])) for row in rows
    ]


def test_of_text_each_line_is_one_result(run, tmp_path):
    (tmp_path / "in.csv").write_text('text\n"the [MASK]\nsat [MASK]"\nno mask\nthe [MASK]\n')
    status, _ = run("fill-mask", "--input", "in.csv", "--output", "out.txt", "--top-k", "1")
    first, wrong, last = (tmp_path / "out.txt").read_text().splitlines()
    assert (status, wrong) == (1, "") and len(json.loads(first)) == 2 and len(json.loads(last)) == 1


PAIRS = {
    "classify": (["--pairs"], ["text", "text_pair"]),
    "next": ([], ["first", "second"]),
    "answer": ([], ["question", "context"]),
    "choose": ([], ["prompt", "choices"]),
}


@pytest.mark.parametrize("command", PAIRS)
def test_a_second_column_holds_what_goes_with_a_text(run, tmp_path, command):
    options, names = PAIRS[command]
    second = '["the cat", "a dog"]' if command == "choose" else "the cat sat on a mat"
    make(tmp_path / "a.csv", [{names[0]: "a dog", names[1]: second}])
    make(tmp_path / "b.csv", [{"x": "a dog", "y": second}])
    columns = ["--text-column", "x", "--pair-column", "y"]
    assert run(command, "--input", "a.csv", "--output", "a.jsonl", *options)[0] == 0
    assert run(command, "--input", "b.csv", "--output", "b.jsonl", *columns)[0] == 0
    (one,), (other,) = rows_of(tmp_path / "a.jsonl"), rows_of(tmp_path / "b.jsonl")
    assert one["result"] == other["result"] and (other["x"], other["y"]) == ("a dog", second)
    line = json.dumps(
        {names[0]: "a dog", names[1]: json.loads(second) if "[" in second else second}
    )
    (tmp_path / "c.txt").write_text(line)
    assert run(command, "--input", "c.txt", *options)[0] == 0
    assert json.loads(run.printed)["result"] == one["result"]


# ---- what a result is, as columns ----------------------------------------------------------

INPUTS = {
    "fill-mask": {"text": "the [MASK] sat [MASK]"},
    "classify": {"text": "a cat"},
    "tokens": {"text": "the cat sat on a mat"},
    "answer": {"question": "who?", "context": "the cat sat"},
    "choose": {"prompt": "the", "choices": ["cat", "a dog"]},
    "next": {"first": "the cat", "second": "sat"},
    "embed": {"text": "a cat"},
}
MORE = {
    "answer": ["--top-k", "2"],
    "classify": ["--top-k", "1"],
    "tokens": ["--aggregation-strategy", "simple"],
    "embed": ["--pooling", "none"],
}
CASES = [(command, []) for command in INPUTS] + [*MORE.items()]


@pytest.mark.parametrize("command, options", CASES)
def test_parquet_has_the_types_that_are_said_and_all_that_json_has(run, tmp_path, command, options):
    pytest.importorskip("pyarrow", reason="needs pyarrow (extra `data`)")
    from pyarrow import parquet

    (tmp_path / "in.jsonl").write_text(json.dumps(INPUTS[command]))
    for name in ("out.jsonl", "out.parquet"):
        assert run(command, "--input", "in.jsonl", "--output", name, *options) == (0, "")
    schema = parquet.read_schema(tmp_path / "out.parquet")
    given = {key.strip("-").replace("-", "_"): v for key, v in zip(options[::2], options[1::2])}
    given = {key: int(v) if v.isdecimal() else v for key, v in given.items()}
    kinds = result_kinds(Job(command, options=given)) | {"error": "string"}
    assert {name: schema.field(name).type for name in schema.names[-len(kinds) :]} == {
        name: arrow_type(kind) for name, kind in kinds.items()
    }
    [row], [line] = rows_of(tmp_path / "out.parquet"), rows_of(tmp_path / "out.jsonl")
    result = line["result"]
    best = result[0] if isinstance(result, list) else result
    expected = {
        "fill-mask": lambda: ("candidates", result),
        "tokens": lambda: ("entities", result),
        "embed": lambda: ("embedding", best if "none" in options else result),
        "classify": lambda: ("score", best["score"]),
        "answer": lambda: ("answers", result) if options else ("answer", best["answer"]),
        "choose": lambda: ("ranking", result),
        "next": lambda: ("label", best["label"]),
    }[command]
    name, value = expected()
    assert close(row[name], value) and row["error"] is None
    if command == "fill-mask":
        assert row["token_str"] == [candidates[0]["token_str"] for candidates in result]


def close(one, other):
    """Whether two values are the same but for the rounding of float32."""
    if isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == (pytest.approx(other, rel=1e-6) if isinstance(other, float) else other)


@pytest.mark.parametrize("command", FUNCTIONS)
def test_the_help_says_which_columns_there_are(command, capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args([command, "--help"])
    said = capsys.readouterr().out.partition("a corpus:")[2]
    for name in result_kinds(Job(command, options={"top_k": 2})):
        assert name in said


# ---- columns of every kind -----------------------------------------------------------------


def test_types_of_parquet_stay(run, tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow (extra `data`)")
    from pyarrow import parquet

    when = datetime.datetime(2020, 1, 2)
    table = pyarrow.table(
        {
            "when": pyarrow.array([when, None], pyarrow.timestamp("ms")),
            "text": pyarrow.array(["a cat", "a dog"]).dictionary_encode(),
            "list": pyarrow.array([[1], None], pyarrow.list_(pyarrow.int8())),
            "bytes": [b"\xff", None],
            "nan": [float("nan"), 1.0],
        }
    )
    parquet.write_table(table, tmp_path / "in.parquet")
    assert run("embed", "--input", "in.parquet", "--output", "out.parquet") == (0, "")
    out = parquet.read_table(tmp_path / "out.parquet")
    assert out.schema.names == [*table.schema.names, "embedding", "error"]
    assert out.select(table.schema.names).schema == table.schema
    assert out["when"].to_pylist() == [when, None] and out["bytes"].to_pylist() == [b"\xff", None]
    assert run("embed", "--input", "in.parquet")[0] == 0
    first = json.loads(run.printed.splitlines()[0])
    del first["result"]
    assert first == {"when": when.isoformat(), "text": "a cat", "list": [1], "bytes": "/w==",
                     "nan": None}  # fmt: skip


def test_types_of_objects_are_those_of_all_rows(run, tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow (extra `data`)")
    rows = [
        {"text": "a", "int": 1, "mixed": 1, "deep": {"a": [1]}, "big": 2**70, "bool": True},
        {"text": "b", "int": None, "mixed": 1.5, "deep": "x", "late": "é"},
    ]
    make(tmp_path / "in.jsonl", rows)
    assert run("embed", "--input", "in.jsonl", "--output", "out.parquet") == (0, "")
    for row in (found := rows_of(tmp_path / "out.parquet")):
        del row["embedding"], row["error"]
    assert found == [
        {"text": "a", "int": 1, "mixed": 1.0, "deep": '{"a": [1]}', "big": str(2**70),
         "bool": True, "late": None},
        {"text": "b", "int": None, "mixed": 1.5, "deep": '"x"', "big": None,
         "bool": None, "late": "é"},
    ]  # fmt: skip


def test_what_is_wrong_with_a_row_is_no_other_row_s(run, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"id,text\n1,a cat\n2\n\n3,\xff\n4,a,b\n5,a dog\n")
    assert run("embed", "--input", "in.csv", "--output", "out.csv")[0] == 1
    rows = rows_of(tmp_path / "out.csv")
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", "5"]
    errors = [row["error"] for row in rows]
    assert [bool(error) for error in errors] == [False, True, True, True, False]
    assert "1 columns, the first one 2" in errors[1] and "'text' is not UTF-8" in errors[2]
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n[1]\n{"text": null}\n{"a": 1}\n{"text": 3}')
    assert run("embed", "--input", "in.jsonl", "--output", "out2.csv")[0] == 1
    rows = rows_of(tmp_path / "out2.csv")
    assert [row["text"] for row in rows] == ["a", "[1]", "", "", "3"]
    parts = ["", "list in JSON, expected an object", "is empty", "is missing", "is int"]
    assert all(part in row["error"] for part, row in zip(parts, rows))
    assert run("embed", "--input", "in.jsonl")[0] == 1
    printed = [json.loads(line) for line in run.printed.splitlines()]
    assert [row.get("a") for row in printed] == [None, None, None, 1, None]
    assert run("embed", "--input", "in.jsonl", "--strict")[0] == 2


# ---- errors at the border ------------------------------------------------------------------


def test_what_is_wrong_with_the_files_is_said_before_any_work(run, tmp_path):
    make(tmp_path / "in.jsonl")
    make(tmp_path / "in.csv")
    make(tmp_path / "label.csv", [{"text": "a", "embedding": "1"}])
    (tmp_path / "in.txt").write_text("a cat")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "torn.csv").write_text('text\n"a')
    (tmp_path / "twice.csv").write_text("text,text\na,b\n")
    (tmp_path / "full.csv").write_text("precious")
    out = ["--output", "out.csv"]
    for options, message in {
        ("--input", "in.tsv", *out): "in.tsv ends in .tsv, expected .txt, .jsonl, .csv or .parquet",
        ("--input", "in.csv", "--output", "a.xls"): "a.xls ends in .xls",
        ("--input", "in.csv", "--text-column", "x"): "in.csv has no column 'x' but n, text, tag",
        ("--input", "in.jsonl", "--text-column", "x"): "in.jsonl has no column 'x' but n, text",
        ("--input", "in.txt", "--text-column", "x"): "--text-column needs an --input with columns",
        ("--input", "label.csv", *out): "label.csv has a column 'embedding', which is what results",
        ("--input", "in.csv", "--text-column", "error"): "texts cannot be in a column 'error'",
        ("--input", "in.csv", "--output", "in.csv"): "in.csv is both --input and --output",
        ("--input", "in.csv", "--output", "full.csv"): "full.csv is not empty; --force replaces",
        ("--input", "in.csv", "--output", "no/out.csv"): "there is no directory no",
        ("--input", "-", *out): "standard input cannot be read a second time, as out.csv asks for",
        ("--input", "empty.csv", *out): "empty.csv has no column 'text' but none",
        ("--input", "twice.csv", *out): "twice.csv has two columns 'text'",
        ("--input", "torn.csv", *out): "torn.csv, line 2: unexpected end of data",
        ("--input", "nowhere.csv", *out): "nowhere.csv: No such file or directory",
        ("--text-column", "x", "a text"): "--text-column needs --input",
        ("--input", "in.csv", "--force"): "--force needs --output",
        ("--input", "in.csv", *out, "--force", "--resume"): "not both",
        ("--workers", "2", "a text"): "--workers needs --input",
        ("--workers", "two", "a text"): "'two' is no number of at least 1",
    }.items():
        status, err = run("embed", *options)
        assert status == 2 and message in err and err.count("\n") == 1, (options, err)
        assert run.printed == ""
    assert (tmp_path / "full.csv").read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_a_pipe_is_no_table(run, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    status, err = run("embed", "--input", "pipe.csv")
    assert status == 2 and "pipe.csv is no regular file, as a .csv has to be" in err


def test_parquet_says_what_it_needs_and_what_is_wrong(run, tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow (extra `data`)")
    from pyarrow import parquet

    (tmp_path / "in.csv").write_text("text\na cat\n")
    (tmp_path / "bad.parquet").write_text("PAR1 no more")
    parquet.write_table(pyarrow.table({"text": [1, 2]}), tmp_path / "int.parquet")
    status, err = run("embed", "--input", "bad.parquet")
    assert status == 2 and err.startswith("npbert: error: bad.parquet: ")
    status, err = run("embed", "--input", "int.parquet")
    assert status == 2 and "int.parquet: the column 'text' is int64, expected text" in err
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    for options in (["in.csv", "--output", "out.parquet"], ["int.parquet"]):
        status, err = run("embed", "--input", *options)
        assert status == 2 and "needs pyarrow (python -m pip install 'npbert[data]')" in err
