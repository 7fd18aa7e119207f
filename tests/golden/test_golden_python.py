"""Golden kits from Python: inputs, the check of arrays in memory, and the assertion for a test."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npbert import AutoTokenizer
from npbert.golden import Kit, Report, assert_matches, check_kit
from npbert.golden.making import load, tokenizer_of

SHIPPED = Path(__file__).parents[2] / "weights" / "golden"
NORM = "encoder.layer.0.output.LayerNorm"


@pytest.fixture(scope="module")
def kit():
    return Kit(SHIPPED / "bert-model")


@pytest.fixture(scope="module")
def mine(kit):
    """What a right port gives, as a test of one writes it: {case: {name: array}}."""
    model = kit.model(np.float32)
    return {case: dict(model(**kit.inputs(case))) for case in kit.cases}


def broken(mine):
    """The same, with an output of one case that is off."""
    wrong = {**mine, "short": dict(mine["short"])}
    wrong["short"]["last_hidden_state"] = mine["short"]["last_hidden_state"] * 1.01
    return wrong


def test_inputs_are_what_a_model_is_called_with(kit):
    assert kit.inputs("padded_end").keys() == {"input_ids", "attention_mask"}
    with pytest.raises(ValueError, match="no case 'long', it has single, short"):
        kit.inputs("long")


def test_check_of_arrays_by_case_is_that_of_flat_names(kit, mine):
    report = kit.check(mine)
    assert isinstance(report, Report) and report.passed and report.rows.keys() == kit.cases.keys()
    flat = {
        f"{case}/{name}": array for case, arrays in mine.items() for name, array in arrays.items()
    }
    assert check_kit(kit, flat).as_dict() == report.as_dict()
    assert not kit.check(mine, strict=True).passed
    assert not kit.check(mine, require=["embeddings"]).passed
    short = kit.check(mine["short"], case="short")
    assert short.passed and [*short.rows] == ["short"]


def test_the_assertion_says_nothing_of_a_right_port(kit, mine):
    assert assert_matches(kit, mine).passed
    assert assert_matches(SHIPPED / "bert-model", mine).kit.name == "bert-model"


def test_the_message_of_the_assertion_is_the_report(kit, mine):
    wrong = broken(mine)
    with pytest.raises(AssertionError) as caught:
        assert_matches(kit, wrong)
    assert kit.check(wrong).render() in str(caught.value)
    with pytest.raises(AssertionError, match="Not given, but required: case single: inputs"):
        assert_matches(kit, mine, strict=True)
    with pytest.raises(AssertionError, match="Not given, but required: case single: embeddings"):
        assert_matches(kit, mine, require=["embeddings"])
    with pytest.raises(ValueError, match="is a tensor of the kit"):
        assert_matches(kit, {"nonsense": np.zeros(3)})


def test_a_test_shows_its_own_line_and_the_report(tmp_path):
    """What somebody sees whose test of a port fails, in a pytest of its own."""
    (tmp_path / "test_port.py").write_text(
        "import numpy as np\n"
        "from npbert.golden import Kit, assert_matches\n"
        f"kit = Kit({str(SHIPPED / 'bert-model')!r})\n"
        "def test_port():\n"
        "    hidden = np.zeros([1, 4, 8], np.float32)\n"
        "    assert_matches(kit, {'short': {'last_hidden_state': hidden}})\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 1
    assert "First wrong: encoder.layer.0.output.LayerNorm [1, 4, 8] in case short" in done.stdout
    assert ">       assert_matches(kit" in done.stdout and "testing.py" not in done.stdout


def test_the_assertion_needs_no_pytest(tmp_path):
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "import npbert.golden\n"
        f"kit = npbert.golden.Kit({str(SHIPPED / 'bert-model')!r})\n"
        "arrays = {case: kit.expected_float32(case) for case in kit.cases}\n"
        "print(npbert.golden.assert_matches(kit, arrays, strict=True).passed)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True\n", done.stderr


class Tensor:
    """A tensor of another framework, as far as it is looked at: on a device, with gradients."""

    def __init__(self, array, dtype="torch.float32"):
        self.array, self.dtype = array, dtype

    def detach(self):
        return Tensor(self.array, self.dtype)

    def cpu(self):
        return Tensor(self.array, self.dtype)

    def float(self):
        return Tensor(self.array)

    def __array__(self, dtype=None, copy=None):
        if "bfloat16" in self.dtype:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


def test_tensors_of_other_frameworks(kit, mine):
    hidden = mine["short"]["last_hidden_state"]
    assert kit.check({"short": {"last_hidden_state": Tensor(hidden)}}).passed
    rounded = (hidden.view(np.uint32) & 0xFFFF0000).view(np.float32)  # to bfloat16, towards zero
    (row,) = kit.check({"short": {NORM: Tensor(rounded, "torch.bfloat16")}}).given
    assert row.dtype == "bfloat16" and row.expected_right


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros(3), "expected a file, a folder or arrays by name"),
        ({1: np.zeros(3)}, "1 is no name of an array"),
        ({"short": {NORM: [[1.0], [2.0, 3.0]]}}, f"short/{NORM}: no array"),
        ({"short": {}}, "no arrays were given"),
        ({"long": {NORM: np.zeros(3)}}, "is a tensor of the kit"),
    ],
)
def test_what_cannot_be_checked_is_refused(kit, given, message):
    with pytest.raises(ValueError, match=message):
        kit.check(given)


def test_a_kit_that_is_missing():
    with pytest.raises(FileNotFoundError):
        Kit(SHIPPED / "none")


def test_a_kit_is_made_of_a_checkpoint_of_the_hub(hub, checkpoint):
    """What `golden make` runs is read by whatever name models have elsewhere."""
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(checkpoint)
    hub.add("some-org/some-bert", checkpoint)
    here, there = load(checkpoint), load("some-org/some-bert")
    assert type(here) is type(there)
    for name, array in here.state_dict().items():
        np.testing.assert_array_equal(array, there.state_dict()[name])
    assert tokenizer_of("some-org/some-bert").get_vocab() == tokenizer_of(checkpoint).get_vocab()
