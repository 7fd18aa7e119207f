"""--input: lines in, JSON lines out, as they come, whole; an error stands in its line's place."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from task_checkpoints import labelled, make_checkpoint

import npbert
from npbert.__main__ import main
from npbert.checkpoints import safetensors
from npbert.corpus import lines


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    def make(head, **options):
        return make_checkpoint(tmp_path_factory.mktemp(head), "Bert", head, **options)

    return {
        "fill-mask": make("ForMaskedLM"),
        "classify": make("ForSequenceClassification", **labelled("same", "other")),
        "answer": make("ForQuestionAnswering"),
        "choose": make("ForMultipleChoice"),
        "next": make("ForNextSentencePrediction"),
        "embed": make("Model"),
    }


@pytest.fixture
def run(directories, tmp_path, capfd, monkeypatch):
    """Run a command on lines; return (status, the objects it wrote, stderr)."""
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")

    def run(command, content, *options, model=None):
        file = tmp_path / "lines.txt"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        model = ["--model", str(model or directories[command])]
        status = main([command, "--input", str(file), *model, *options])
        captured = capfd.readouterr()
        assert captured.out.endswith("\n") or captured.out == ""
        return status, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def test_every_line_has_its_result_in_its_place(run, directories, monkeypatch):
    monkeypatch.setattr(lines, "BATCH", 500)
    texts = [f"{'the cat ' * (i % 5)}[MASK] sat" for i in range(48)]
    status, written, err = run("fill-mask", "\n".join(texts), "--top-k", "2")
    assert (status, err) == (0, "")
    assert [entry["text"] for entry in written] == texts
    for entry in written[::16]:
        [best, _] = npbert.fill_mask(entry["text"], directories["fill-mask"], top_k=2)
        assert entry["result"][0]["token"] == best["token"]
        assert entry["result"][0]["score"] == pytest.approx(best["score"], rel=1e-5)


def test_lines_are_answered_together(run, monkeypatch):
    """As many as BATCH bytes hold, and a longer one by itself; of a wrong one half go on alone."""
    monkeypatch.setattr(lines, "BATCH", 20)
    counts, function = [], npbert.text_classification

    def counted(entries, *arguments, **options):
        counts.append(len(entries))
        return function(entries, *arguments, **options)

    monkeypatch.setattr("npbert.tasks.texts.text_classification", counted)
    content = "\n".join(["a cat", "a dog", "a cat", "the dog", "the " * 10, "a", "a", "a"])
    status, written, _ = run("classify", content + "\n")
    assert (status, len(written)) == (0, 8)
    assert counts == [0, 3, 1, 1, 3]  # none at first, to check the options

    counts.clear()
    monkeypatch.setattr(lines, "BATCH", 1000)
    texts = ["a cat"] * 5 + ["cat " * 50] + ["a dog"] * 2
    status, written, _ = run("classify", "\n".join([*texts, ""]))
    assert status == 1 and ["error" in entry for entry in written].index(True) == 5
    assert counts == [0, 8, 4, 4, 2, 1, 1, 2]


def test_lines_are_whole_wherever_reading_stops(run):
    texts = ["cat" + "\u0301" * (7 * i % 1000) + " \u00e9" for i in range(200)]  # 130 KB
    status, written, _ = run("classify", "\n".join(texts))
    assert status == 0 and [entry["text"] for entry in written] == texts


@pytest.mark.parametrize(
    "content, texts",
    [
        ("", []),
        ("a cat", ["a cat"]),
        ("a cat\n", ["a cat"]),
        ("a cat\r\nthe\u2028dog", ["a cat", "the\u2028dog"]),
    ],
)
def test_lines_end_at_the_line_feed_alone(run, content, texts):
    status, written, _ = run("classify", content)
    assert status == 0
    assert [entry["text"] for entry in written] == texts


COLUMNS = {
    "classify": (["--pairs"], "the cat\ta dog", {"text": "the cat", "text_pair": "a dog"}),
    "answer": ([], "who?\tthe cat sat", {"question": "who?", "context": "the cat sat"}),
    "choose": ([], "the\tcat\tdog\tmat", {"prompt": "the", "choices": ["cat", "dog", "mat"]}),
    "next": ([], "the cat\tsat", {"first": "the cat", "second": "sat"}),
}


@pytest.mark.parametrize("command", COLUMNS)
def test_columns_and_objects_are_the_same(run, command):
    options, line, entry = COLUMNS[command]
    status, written, err = run(command, f"{line}\n{json.dumps(entry)}\n", *options)
    assert (status, err) == (0, "")
    results = [each.pop("result") for each in written]
    assert written == [entry, entry]
    for one, other in zip(
        *([result] if isinstance(result, dict) else result for result in results)
    ):
        assert one.pop("score") == pytest.approx(other.pop("score"), rel=1e-5)
        assert one == other


def test_of_pairs_the_second_text_may_be_left_out_in_an_object(run):
    status, written, _ = run("classify", '{"text": "a cat"}\n', "--pairs")
    assert status == 0 and list(written[0]) == ["text", "result"]


# ---- lines that cannot be answered ---------------------------------------------------------

WRONG_LINES = {
    "no mask": ("fill-mask", "[MASK]\na\n[MASK]\n", [], "no [MASK] in 'a'"),
    "not UTF-8": ("classify", b"a cat\n\xffa\xfe\nthe\n", [], "not UTF-8 at byte 0"),
    "too long": ("classify", f"a\n{'cat ' * 50}\nthe\n", [], "the text has 52 tokens"),
    "columns": ("next", "a\tb\na\nthe\tcat\n", [], "1 column, expected first, second"),
    "more columns": ("next", "a\tb\na\tb\tc\nthe\tcat\n", [], "3 columns"),
    "no JSON": ("next", 'a\tb\n{"first": \nthe\tcat\n', [], "not JSON: "),
    "nested": ("next", 'a\tb\n' + '{"a":' * 9999 + "\nthe\tcat\n", [], "not JSON: "),
    "keys": ("next", 'a\tb\n{"first": "a"}\nthe\tcat\n', [], "the object has first, expected"),
    "no string": (
        "next",
        'a\tb\n{"first": "a", "second": 3}\nthe\tcat\n',
        [],
        "the second text is int",
    ),
    "empty text": ("next", 'a\tb\n\tb\nthe\tcat\n', [], "the first text is empty"),
    "empty in a pair": ("classify", "a\tb\na\t \nthe\tcat\n", ["--pairs"], "second text is empty"),
    "one choice": ("choose", "a\tb\tc\na\tb\nthe\tcat\tdog\n", [], "the choices are ['b']"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_LINES.values(), ids=WRONG_LINES.keys())
def test_an_error_stands_in_the_place_of_its_line(run, wrong):
    command, content, options, message = wrong
    status, (before, error, after), err = run(command, content, *options)
    assert status == 1 and err.count("\n") == 1
    assert "lines.txt: 1 line (2) could not be answered" in err
    assert before["result"] and after["result"]
    data = content if isinstance(content, bytes) else content.encode()
    text = data.split(b"\n")[1].decode("utf-8", "backslashreplace")
    assert list(error) == ["line", "text", "error"]
    assert (error["line"], error["text"]) == (2, text) and message in error["error"]


@pytest.mark.parametrize("wrong", WRONG_LINES.values(), ids=WRONG_LINES.keys())
def test_strict_stops_at_a_wrong_line(run, wrong):
    command, content, options, message = wrong
    status, written, err = run(command, content, "--strict", *options)
    assert status == 2 and err.count("\n") == 1
    assert message in err and "lines.txt, line 2" in err
    assert len(written) == 1 and written[0]["result"]


@pytest.mark.parametrize("batch", [1, 100, 1 << 14])
def test_of_many_lines_each_has_what_is_its_own(run, monkeypatch, batch):
    monkeypatch.setattr(lines, "BATCH", batch)
    texts = ["cat " * 50 if i % 20 == 7 else f"a {'cat ' * (i % 3)}" for i in range(69)]
    status, written, err = run("classify", "\n".join(texts))
    assert status == 1 and "4 lines (8, 28, 48, 68) could not be answered" in err
    assert [entry["text"] for entry in written] == texts
    assert [n for n, entry in enumerate(written, 1) if "error" in entry] == [8, 28, 48, 68]


def test_blank_lines_are_skipped_with_a_note(run):
    status, written, err = run("classify", "\na cat\n \t\r\n\nthe dog\n\n")
    assert (status, [entry["text"] for entry in written]) == (0, ["a cat", "the dog"])
    assert err.startswith("npbert: note: ") and err.count("\n") == 1
    assert "lines.txt: 4 blank lines (1, 3, 4, 6) skipped" in err
    status, written, err = run("classify", "a cat\n\nthe dog\n", "--strict")
    assert status == 2 and len(written) == 1 and "line 2: the line is blank" in err


def test_a_result_that_is_no_number_is_an_error(run, directories, tmp_path):
    shutil.copytree(directories["classify"], tmp_path / "nan")
    tensors = dict(safetensors.read(tmp_path / "nan" / "model.safetensors"))
    words = tensors["bert.embeddings.word_embeddings.weight"].copy()
    words[6] = float("nan")  # of "a"
    tensors["bert.embeddings.word_embeddings.weight"] = words
    safetensors.write(tmp_path / "nan" / "model.safetensors", tensors)
    status, written, _ = run("classify", "the cat\na cat\n", model=tmp_path / "nan")
    assert status == 1 and written[0]["result"] and "nan for a number" in written[1]["error"]


# ---- what a line may hold ------------------------------------------------------------------


def test_a_byte_order_mark_is_no_text(run):
    assert run("classify", b"\xef\xbb\xbfa cat\n")[1] == run("classify", b"a cat\n")[1]
    _, [first, second], _ = run("next", b"\xef\xbb\xbf" + b'{"first": "a", "second": "b"}\na\tb')
    assert first == second
    _, entries, _ = run("classify", "a\n".encode("utf-8-sig") * 2)  # the second is text
    assert [entry["text"] for entry in entries] == ["a", "\ufeffa"]
    _, [error, *_], _ = run("classify", "a\n".encode("utf-16"))  # its mark is another one
    assert error["error"].startswith("not UTF-8")


def test_a_byte_order_mark_that_comes_in_parts():
    class Trickle(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(1)

    for data in (b"\xef\xbb\xbfa\nb", b"a\n\xef\xbb\xbfb\n", b"\xef\xbb", b"", b"\n\n"):
        with_marks = [b for batch in lines.raw_batches(Trickle(data)) for b in batch]
        assert with_marks == [b for batch in lines.raw_batches(io.BytesIO(data)) for b in batch]
        assert b"\n".join(with_marks) == data.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n")


def test_control_characters_are_text_that_the_tokenizer_drops(run):
    # Each in the same company: where in a batch a row stands changes its last digit.
    _, [without, _], _ = run("classify", "the cat\n\0\n")
    _, [with_nul, alone], err = run("classify", "the\0 c\x07at\n\0\n")
    assert with_nul["text"] == "the\0 c\x07at" and with_nul["result"] == without["result"]
    assert alone["text"] == "\0" and alone["result"] and err == ""


def test_a_line_of_ten_megabytes(run):
    long = "x" * 10_000_000  # one word, [UNK]
    status, written, _ = run("classify", f"a cat\n{long}\r\nthe dog")
    assert status == 0 and [entry["text"] for entry in written] == ["a cat", long, "the dog"]
    many = "a " * 20_000
    _, [_, error, _], _ = run("classify", f"a cat\n{many}\nthe dog")
    assert error["text"] == many and "20002 tokens" in error["error"]


def test_a_wrong_option_is_no_line_s_fault(run):
    status, written, err = run("fill-mask", "[MASK]\n", "--top-k", "0")
    assert (status, written) == (2, []) and err.startswith("npbert: error: top_k is 0")


def test_a_missing_file_is_one_line(directories, capfd):
    assert main(["embed", "--input", "nowhere", "--model", str(directories["embed"])]) == 2
    err = capfd.readouterr().err
    assert "nowhere" in err and err.count("\n") == 1


def test_input_takes_the_place_of_texts(directories, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["embed", "a text", "--input", "-"])
    assert leaving.value.code == 2
    assert "--input takes the place of texts" in capsys.readouterr().err


# ---- as processes --------------------------------------------------------------------------


def heed_interruptions():
    """Undo what a shell does to what it runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def process(directories):
    """Start `npbert classify --input -` with pipes; end it in any case."""
    started = []

    def start(command="classify"):
        arguments = [command, "--input", "-", "--model", str(directories[command])]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "npbert", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | {"NPBERT_BACKEND": "numpy", "OPENBLAS_NUM_THREADS": "1"},
                preexec_fn=heed_interruptions if os.name == "posix" else None,
            )
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()
        for pipe in filter(None, (each.stdin, each.stdout, each.stderr)):
            pipe.close()


def test_an_answer_comes_before_the_next_question(process):
    running = process()
    for text in (b"a", b"a cat", b"the dog"):
        running.stdin.write(text + b"\n")
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["text"] == text.decode()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interruption_leaves_whole_lines(process):
    running = process("embed")
    feeder = subprocess.Popen(  # more lines than it can answer before it is interrupted
        [sys.executable, "-c", "while True: print('the cat sat on the mat')"],
        stdout=running.stdin,
        stderr=subprocess.DEVNULL,
    )
    running.stdin.close()
    try:
        first = running.stdout.readline()
        running.send_signal(signal.SIGINT)
        # Not `communicate`, which would not know of lines that came with the first.
        rest, err = running.stdout.read(), running.stderr.read()
        assert running.wait(timeout=60) == 130
    finally:
        feeder.kill()
        feeder.wait()
    assert err == b""
    assert rest == b"" or rest.endswith(b"\n")
    for line in [first, *rest.splitlines()]:
        assert len(json.loads(line)["result"]) == 24


def test_a_reader_that_has_seen_enough_is_no_error(process, directories):
    command = (
        f"yes the cat | {sys.executable} -m npbert classify --input - "
        f"--model {directories['classify']} | head -n 2"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and len(done.stdout.splitlines()) == 2
