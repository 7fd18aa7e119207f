"""The trace page: the data that it holds, and the HTML around it, before any browser opens it."""

import base64
import html
import inspect
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from small_models import VOCABULARY

import npbert
from npbert.tracing.page import collecting, make_page, rendering, values
from npbert.tracing.page.collecting import collect
from npbert.tracing.page.listing import list_pass
from npbert.tracing.page.marking import function_source, functions_of, marked_lines
from npbert.tracing.page.reading import Reading, read

TEXT = "the [MASK] sat on the mat."
SENTENCE = "The children went to [MASK] to learn to read."
HOSTILE = '</script><b id="x">&amp;"\'<!--{{data}}{{script}}\u2028'
SHIPPED = ["bert-tiny", "convbert-tiny", "mobilebert-tiny", "squeezebert-tiny"]


class Elements(HTMLParser):
    """The elements of a page with their attributes, and what stands in each script and style."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.inside = [], {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, text):
        if self.elements:
            self.inside.setdefault(len(self.elements) - 1, []).append(text)

    def texts(self, tag):
        return [
            "".join(self.inside.get(i, [])) for i, (each, _) in enumerate(self.elements)
            if each == tag
        ]  # fmt: skip


def data_of(page):
    return json.loads(re.search(r'<script [^>]*id="data">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture
def data(checkpoint):
    return collect(read(checkpoint, [TEXT]))


@pytest.fixture
def recorded(checkpoint):
    reading = read(checkpoint, [TEXT])
    return npbert.trace(reading.model, **reading.inputs)


def places_of(q):
    """Return for each axis the entries that a page holds."""
    steps = q.get("steps", [1] * len(q["shape"]))
    kept = q.get("kept", [None] * len(q["shape"]))
    return [
        range(0, length, step) if places is None else places
        for length, step, places in zip(q["shape"], steps, kept)
    ]


def unpacked(q):
    """Return the values that a page holds of a quantity, as its script reads them."""
    raw = base64.b64decode(q["data"])
    shape = [len(places) for places in places_of(q)]
    if q["scale"] == 0:
        return np.frombuffer(raw, "<i4").reshape(shape)
    return np.frombuffer(raw, "<f2").astype(np.float64).reshape(shape) * q["scale"]


# ---- the page as a file --------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_a_page_of_a_tiny_model_is_small(name):
    assert len(make_page(name, [SENTENCE]).encode()) < 5e6


def test_a_page_needs_nothing_else(checkpoint):
    page = make_page(checkpoint, [TEXT])
    parsed = Elements(page)
    for tag, attributes in parsed.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base")
        assert not {"src", "srcset", "action"} & {*attributes}
        assert attributes.get("href", "#").startswith(("#", "data:,"))
    policy = [
        attributes["content"] for tag, attributes in parsed.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert policy[0].startswith("default-src 'none';") and "http" not in policy[0]
    code = "".join(parsed.texts("style") + parsed.texts("script")[1:])
    assert len(code) > 20_000
    for word in ("http:", "https:", "url(", "@import", "fetch(", "XMLHttp", "import("):
        assert word not in code
    assert "{{" not in page.replace(json.dumps(data_of(page)), "")


def test_what_is_hostile_stays_text(tmp_path):
    """In the text, in a word piece, in the name of a label, in the name of the directory."""
    config = npbert.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=64, id2label={0: HOSTILE, 1: "b"},
    )  # fmt: skip
    directory = tmp_path / "a<b>&amp;'\""
    npbert.BertForTokenClassification(config).save_pretrained(directory)
    pieces = "[PAD] [UNK] [CLS] [SEP] [MASK] < / script > b ## & \" ' ! - { } = ;".split()
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    page = make_page(directory, [HOSTILE, "</title><i>"])
    parsed = Elements(page)
    tags = [tag for tag, _ in parsed.elements]
    assert (tags.count("script"), tags.count("title"), tags.count("style")) == (2, 1, 1)
    assert not {"b", "i"} & {*tags} and page.count("<!--") == 0
    data = data_of(page)
    assert data["texts"] == [HOSTILE, "</title><i>"] and data["labels"] == [HOSTILE, "b"]
    assert data["model"]["name"] == directory.name
    [title] = parsed.texts("title")
    assert title.strip() == f"{directory.name}: {HOSTILE} | </title><i>"


def test_data_are_filled_in_once():
    model = {"name": "{{script}}"}
    page = rendering.render({"model": model, "texts": ["{{data}}"]})
    assert "<title>{{script}}: {{data}}</title>" in page


# ---- quantities ----------------------------------------------------------------------------


def test_every_quantity_is_there_in_computing_order(data, recorded):
    assert [q["name"] for q in data["quantities"]] == recorded.names()
    for q, quantity in zip(data["quantities"], recorded, strict=True):
        assert tuple(q["shape"]) == quantity.shape and q["dtype"] == str(quantity.dtype)
        assert q["aliases"] == quantity.aliases
        assert len(q["axes"]) == len(q["shape"]) and q["equation"], q["name"]


def test_statistics_are_exact_and_values_good_to_three_digits(data, recorded):
    for q, quantity in zip(data["quantities"], recorded, strict=True):
        value = quantity.value.astype(np.float64)
        expected = [value.mean(), value.std(), value.min(), value.max()]
        assert [q[k] for k in ("mean", "std", "min", "max")] == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(unpacked(q), value, rtol=1e-3, atol=1e-8 * np.abs(value).max())


def test_sources_and_parameters(data, recorded, checkpoint):
    stored = read(checkpoint, [TEXT]).model.state_dict()
    for number, (q, quantity) in enumerate(zip(data["quantities"], recorded, strict=True)):
        names = [s if isinstance(s, str) else data["quantities"][s]["name"] for s in q["inputs"]]
        assert tuple(names) == quantity.inputs
        assert all(s < number for s in q["inputs"] if not isinstance(s, str))
        for name in (s for s in q["inputs"] if isinstance(s, str)):
            assert tuple(data["parameters"][name]["shape"]) == stored[name].shape


def test_every_quantity_is_in_one_section(data):
    keys = [section["key"] for section in data["sections"]]
    assert keys == ["start", "0", "1", "end"]
    members = [i for section in data["sections"] for i in section["quantities"]]
    assert members == list(range(len(data["quantities"])))
    for section in data["sections"]:
        for number in section["quantities"]:
            name = data["quantities"][number]["name"]
            layer = re.search(r"\.layer\.(\d+)\.", name)
            assert section["key"] == layer[1] if layer else not section["key"].isdigit(), name


def test_the_best_pieces_are_those_of_fill_mask(data, checkpoint):
    [top] = [q["top"] for q in data["quantities"] if "top" in q]
    place = data["tokens"][0].index("[MASK]")
    best = npbert.fill_mask(TEXT, checkpoint, top_k=10)
    assert [piece for piece, *_ in top[0][place]] == [each["token_str"] for each in best]
    shares = [share for *_, share in top[0][place]]
    assert shares == pytest.approx([each["score"] for each in best], rel=1e-5)


def test_what_is_too_much_is_cut_and_keeps_its_statistics(data, checkpoint, monkeypatch):
    monkeypatch.setattr(collecting, "BUDGET", 4000)
    cut = collect(read(checkpoint, [TEXT]))
    assert sum(unpacked(q).size for q in cut["quantities"]) <= 4000
    assert any("steps" in q for q in cut["quantities"])
    for q, whole in zip(cut["quantities"], data["quantities"], strict=True):
        assert (q["mean"], q["min"], q["shape"]) == (whole["mean"], whole["min"], whole["shape"])
        kept = unpacked(whole)[np.ix_(*places_of(q))]
        np.testing.assert_allclose(unpacked(q), kept, rtol=1e-3, atol=1e-6)


def test_of_a_long_text_the_mask_and_special_tokens_are_kept(checkpoint, monkeypatch):
    monkeypatch.setattr(collecting, "BUDGET", 2500)
    data = collect(read(checkpoint, [TEXT]))
    special = [t for t, token in enumerate(data["tokens"][0]) if token[0] == "["]
    assert len(special) == 3
    cut = [
        places
        for q in data["quantities"]
        for letter, places, step in zip(q["axes"], places_of(q), q.get("steps", ()))
        if letter == "T" and step > 1
    ]
    assert cut and all({*special} <= {*places} for places in cut)
    assert any(len(places) < len(data["tokens"][0]) for places in cut)


SMALL = dict(
    vocab_size=len(VOCABULARY), hidden_size=16, num_attention_heads=2, intermediate_size=8,
    max_position_embeddings=12,
)  # fmt: skip
OPTIONS = {
    "Bert": {},
    "ConvBert": dict(embedding_size=8),
    "MobileBert": dict(embedding_size=8, intra_bottleneck_size=8, num_feedforward_networks=2),
    "SqueezeBert": dict(embedding_size=16),
}
CLASSES = [
    (family, name.removeprefix(family), 1)
    for family in OPTIONS
    for name in npbert.__all__
    if re.fullmatch(rf"{family}(Model|For\w+)(?<!Output)", name)
]


@pytest.mark.parametrize(
    "family, head, layers", [*CLASSES, *((family, "ForMaskedLM", 0) for family in OPTIONS)]
)
def test_every_class(family, head, layers, checkpoint):
    """Every quantity belongs to a section and to a line in it that ran."""
    config = getattr(npbert, f"{family}Config")(
        **SMALL, **OPTIONS[family], num_hidden_layers=layers
    )
    model = getattr(npbert, family + head)(config)
    ids = np.array([[2, 5, 6, 3], [2, 7, 3, 0]])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).astype(int)}
    if head == "ForMultipleChoice":
        inputs = {name: array[None] for name, array in inputs.items()}
    tokenizer = npbert.AutoTokenizer.from_pretrained(checkpoint)
    tokens = [tokenizer.convert_ids_to_tokens(row) for row in ids.tolist()]
    data = collect(Reading("small", model, tokenizer, ["a"], inputs, tokens))
    assert [s["key"] for s in data["sections"]] == ["start", *map(str, range(layers)), "end"]
    check_places(data, npbert.trace(model, **inputs))
    json.dumps(data, allow_nan=False)


def check_places(data, recorded):
    for number, (q, quantity) in enumerate(zip(data["quantities"], recorded, strict=True)):
        step, line = q["made"]
        function = data["functions"][data["steps"][step]["function"]]
        assert (function["name"], function["file"], line) == (
            quantity.function, quantity.file, quantity.line
        )  # fmt: skip
        assert data["steps"][step]["section"] == q["section"]
        refs = [ref for each, _, ref, *_ in data["steps"][step]["named"] if each == line]
        assert number in refs, q["name"]
        f = data["functions"][data["steps"][step]["function"]]
        assert line == f["first"] or line in data["steps"][step]["ran"], q["name"]
    shown = {i for section in data["sections"] for i in section["roots"]}
    for i, step in enumerate(data["steps"]):  # each is a root, or is called by a line that is shown
        above = data["steps"][step["caller"]] if step["caller"] is not None else None
        assert i in shown or (above["section"] == step["section"] and step["at"] in above["ran"])


# ---- source --------------------------------------------------------------------------------


def lines_that_run(model, inputs):
    """Return (file, line) of every line of the family's file and the operations, by itself."""
    files = {inspect.getfile(module) for module in (npbert.convbert, npbert.ops, npbert.kernels)}
    seen = set()

    def listen(frame, event, argument):
        if frame.f_code.co_filename not in files or frame.f_code.co_name.startswith("<"):
            return None
        if event == "line":
            seen.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        return listen

    sys.settrace(listen)
    try:
        model(**inputs)
    finally:
        sys.settrace(None)
    return seen


def test_every_line_that_ran_is_shown_as_one_that_ran(data, checkpoint, monkeypatch):
    monkeypatch.setenv("NPBERT_BACKEND", "numpy")
    shown, idle = set(), set()
    for step in data["steps"]:
        f = data["functions"][step["function"]]
        for i, owner in enumerate(f["owner"]):
            place = f["file"], f["first"] + i
            (shown if owner in step["ran"] else idle).add(place)
    reading = read(checkpoint, [TEXT])
    ran = lines_that_run(reading.model, reading.inputs)
    # Before the body runs, mask_bias is called to check the inputs: that is no step of it.
    start, end = lines_of(npbert.ops.mask_bias)
    ran = {(file, line) for file, line in ran if file != "ops.py" or not start <= line < end}
    assert len(ran) > 60
    assert ran <= shown
    assert ("convbert.py", line_of("convbert.py", "return first")) not in shown
    assert idle - shown


def lines_of(function):
    lines, start = inspect.getsourcelines(function)
    return start, start + len(lines)


def line_of(file, text):
    lines = (Path(npbert.__file__).parent / file).read_text("utf-8").splitlines()
    return next((i for i, line in enumerate(lines, 1) if text in line), 0)


def test_the_line_of_every_name_has_that_name_on_it(data):
    named = 0
    for step in data["steps"]:
        f = data["functions"][step["function"]]
        for line, name, _, *more in step["named"]:
            rows = [
                text for i, text in enumerate(f["lines"])
                if line in (f["first"] + i, f["owner"][i]) or f["first"] + i < f["body"] == line
            ]  # fmt: skip
            text = html.unescape(re.sub("<[^>]*>", "", " ".join(rows)))
            if line == f["first"]:
                continue  # arguments: the signature may go over several lines
            assert rows, (f["name"], line)
            if name and not (more and isinstance(more[0], str)):
                assert re.search(rf"\b{name}\b", text), (f["name"], line, name)
            named += 1
    assert named > 80


def test_an_argument_without_a_name_comes_from_the_line_of_the_call(data):
    [q] = [q for q in data["quantities"] if q["name"].endswith("layer.1.output.LayerNorm.x")]
    step = data["steps"][q["made"][0]]
    f = data["functions"][step["function"]]
    assert f["name"] == "feed_forward" and q["section"] == "1"
    assert "layer_norm(x + narrow" in f["lines"][q["made"][1] - f["first"]].replace("</span>", "")


def test_numbers_on_their_lines(data):
    lengths = [n for step in data["steps"] for n in step["numbers"].values()]
    assert {"B": 1, "T": 9, "H": 2, "K": 3} in lengths and {"H": 2} in lengths


@pytest.mark.parametrize("file", ["convbert.py", "mobilebert.py", "ops.py", "model/heads.py"])
def test_marked_lines_are_the_source(file):
    path = Path(npbert.__file__).parent / file
    expected = path.read_text("utf-8").splitlines()
    marked = marked_lines(str(path))
    assert [html.unescape(re.sub(r"</?span[^>]*>", "", row)) for row in marked] == expected
    assert any('<span class="keyword">def</span> <span class="defined">' in row for row in marked)
    for first in functions_of(str(path)):
        lines = function_source(file, first)["lines"]
        assert not lines[0].startswith(" ") and len(lines) > 1


# ---- values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        np.array([0.0, -0.0]),
        np.array(3.5),
        np.array([[1e30, 1.0, -1e-3], [1e-9, 5.0, -7e20]]),
        np.array([1e300, -1.0]),
        np.zeros((0, 3)),
        np.array([0, 30522, 119546, -100]),
    ],
    ids=str,
)
def test_packed_values(value):
    q = {"shape": value.shape, **values.packed(value, tuple(map(np.arange, value.shape)))}
    largest = np.abs(value).max(initial=0)
    np.testing.assert_allclose(unpacked(q), value, rtol=1e-3, atol=1e-8 * largest)
    json.dumps(values.statistics(value), allow_nan=False)


def test_masked_places_do_not_count():
    lowest = np.finfo(np.float32).min
    value = np.array([[1.0, 3.0, lowest], [np.nan, np.inf, -np.inf]], np.float32)
    found = values.statistics(value)
    assert (found["mean"], found["std"], found["max"], found["masked"]) == (2, 1, 3, 4)
    assert not found["signed"] and found["limit"] == 3
    packed = values.packed(value, (np.arange(2), np.arange(3)))
    assert np.isnan(unpacked({"shape": (2, 3), **packed})).sum() == 4
    nothing = values.statistics(np.full((2, 2), lowest))
    assert nothing["mean"] is None and nothing["masked"] == 4


def test_a_few_outliers_do_not_take_the_colours():
    value = np.random.default_rng(0).standard_normal(2000)
    assert values.statistics(value)["limit"] == pytest.approx(np.abs(value).max())
    value[:3] = 1000
    assert values.statistics(value)["limit"] < 5


def test_a_padded_row(tmp_path):
    config = npbert.MobileBertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, embedding_size=8, intra_bottleneck_size=8,
        num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=12, num_feedforward_networks=2,
    )  # fmt: skip
    npbert.MobileBertForMultipleChoice(config).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), "utf-8")
    data = collect(read(tmp_path, ["the cat", "sat on the mat", "a dog"]))
    assert data["tokens"][1][-2:] == ["[PAD]", "[PAD]"] and len(data["tokens"]) == 2
    by_name = {q["name"]: q for q in data["quantities"]}
    scores = by_name["mobilebert.encoder.layer.0.attention.self.attend.masked_scores"]
    assert scores["shape"] == [2, 2, 9, 9] and scores["masked"] == 2 * 9 * 2
    assert abs(scores["min"]) < 1e6 and np.isnan(unpacked(scores)).sum() == 36
    assert data["quantities"][-1]["section"] == "end"


# ---- parameters ----------------------------------------------------------------------------


def test_parameters_have_values_within_their_budget(data, checkpoint, monkeypatch):
    stored = read(checkpoint, [TEXT]).model.state_dict()
    for name, p in data["parameters"].items():
        assert p["mean"] == pytest.approx(stored[name].mean(dtype=float), abs=1e-6)
        np.testing.assert_allclose(unpacked(p), stored[name], rtol=1e-3, atol=1e-6)
    monkeypatch.setattr(collecting, "PARAMETER_BUDGET", 2500)
    cut = collect(read(checkpoint, [TEXT]))["parameters"]
    assert sum(unpacked(p).size for p in cut.values()) <= 2500
    assert {name: p["max"] for name, p in cut.items()} == {
        name: p["max"] for name, p in data["parameters"].items()
    }


def test_a_further_pass_brings_no_values_of_parameters(checkpoint):
    reading = read(checkpoint, [TEXT])
    data = collecting.describe(list_pass(reading.model, **reading.inputs), reading)
    assert data["parameters"] and not any("data" in p for p in data["parameters"].values())


def test_papers_have_titles_and_links(data):
    assert data["papers"]["Jiang et al. 2020"]["link"] == "https://arxiv.org/abs/2008.02496"
    named = {q["paper"].partition(",")[0] for q in data["quantities"]} - {""}
    assert named == {*data["papers"]}
