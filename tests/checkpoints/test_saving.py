"""npbert/checkpoints/saving.py: sets of files that change together, whatever happens.

Each of SETS is saved in two states, 1 and 2, that no shape tells apart; `read` returns every trace
of the state that a reader finds, and must find the same in all of them.
"""

import errno
import json
import os
import stat
import sys
import time

import numpy as np
import pytest
from dying import killed_after, killed_at, needs_fork, random_times, run_on_a_little_disk, started

from npbert import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizer
from npbert.checkpoints import safetensors, saving, temporary
from npbert.checkpoints.saving import COMPLETE, contents, reading
from npbert.checkpoints.temporary import TEMPORARY
from npbert.commands.conversion import convert
from npbert.golden.kit import FORMAT, write_kit
from npbert.tokenizer.files import read_vocabulary

fcntl = pytest.importorskip("fcntl", reason="locks of POSIX")
pytestmark = [
    pytest.mark.thorough,
    needs_fork,
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

WORDS = {1: "the cat sat", 2: "cat the mat"}


def model(state):
    """Return a model whose weights are all `state`, as says its config."""
    config = BertConfig(vocab_size=8, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
                        intermediate_size=4, max_position_embeddings=4,
                        initializer_range=float(state))  # fmt: skip
    made = BertModel(config)
    for array in made.state_dict().values():
        array[...] = state
    return made


def tokenizer(state):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS[state].split()]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return BertTokenizer(vocabulary, do_lower_case=state == 1, model_max_length=state)


MODELS = {state: model(state) for state in (1, 2)}
TOKENIZERS = {state: tokenizer(state) for state in (1, 2)}


def save_model(directory, state):
    MODELS[state].save_pretrained(directory)


def read_model(directory):
    read = AutoModel.from_pretrained(directory)
    values = {float(v) for array in read.state_dict().values() for v in (array.min(), array.max())}
    return {read.config.initializer_range, *values}


def save_tokenizer(directory, state):
    TOKENIZERS[state].save_pretrained(directory)


def read_tokenizer(directory):
    with reading(directory):
        read = AutoTokenizer.from_pretrained(directory)
        vocabulary = read_vocabulary(directory / "vocab.txt")
    states = {token: state for state, words in WORDS.items() for token in words.split()[2:]}
    found = {states[token] for token in (*read.get_vocab(), *vocabulary) if token in states}
    return {*found, 1 if read.do_lower_case else 2, read.model_max_length}


def save_conversion(directory, state):
    source = directory.parent / f"source{state}"
    if not source.exists():
        save_model(source, state)
        save_tokenizer(source, state)
    convert(source, directory, force=True)


def read_conversion(directory):
    with reading(directory):
        return read_model(directory) | read_tokenizer(directory)


def save_kit(directory, state):
    values = {"format": FORMAT, "state": state}
    write_kit(directory, values, {n: {"a": np.full(9, state)} for n in ("inputs", "expected")})


def read_kit(directory):
    with reading(directory):
        found = {json.loads((directory / "manifest.json").read_text("utf-8"))["state"]}
        return found.union(*(safetensors.read(directory / n)["a"] for n in ("inputs", "expected")))


SETS = {
    "model": (save_model, read_model),
    "tokenizer": (save_tokenizer, read_tokenizer),
    "conversion": (save_conversion, read_conversion),
    "kit": (save_kit, read_kit),
}
sets = pytest.mark.parametrize("save, read", SETS.values(), ids=SETS)


@pytest.fixture
def quick_disk(monkeypatch):
    """Do not wait for the disk: a process that is killed does not lose what it has written."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@sets
def test_a_save_that_is_killed_anywhere(tmp_path, quick_disk, save, read):
    """Before each call that changes the file system: it has happened wholly or not at all."""
    directory = tmp_path / "saved"
    save(directory.with_name("other"), 2)  # what is made once is made
    save(directory, 1)
    before, number, found = sorted(os.listdir(directory)), 1, []
    while killed_at(number, lambda: save(directory, 2)):
        seen = read(directory)
        assert seen in ({1}, {2}), f"{seen}, killed before call {number}"
        found += seen
        left = {*os.listdir(directory)} - {*before}
        assert all(map(TEMPORARY.fullmatch, left)) and contents(directory) == before
        save(directory, 1)
        assert sorted(os.listdir(directory)) == before and read(directory) == {1}
        assert sorted(os.listdir(tmp_path))[-1] == (
            "source2" if save is save_conversion else "saved"
        )
        number += 1 if save in (save_model, save_kit) else 3  # the others have many more files
    assert number > 8 and found == sorted(found) and {*found} == {1, 2}
    assert read(directory) == {2}


@sets
def test_saves_that_are_killed_at_any_time(tmp_path, quick_disk, save, read):
    directory = tmp_path / "saved"
    save(directory, 2)
    save(directory, 1)
    names = sorted(os.listdir(directory))

    def both():
        save(directory, 2)
        save(directory, 1)

    for seconds in random_times(6, 0.05):
        killed_after(seconds, both)
        assert read(directory) in ({1}, {2})
    save(directory, 1)
    assert sorted(os.listdir(directory)) == names


@sets
def test_two_writers_and_a_reader(tmp_path, quick_disk, save, read):
    directory = tmp_path / "saved"
    for state in (2, 1):
        save(directory, state)
    end = time.monotonic() + 0.4

    def steadily(state):
        while time.monotonic() < end:
            save(directory, state)

    writers = [started(lambda state=state: steadily(state)) for state in (1, 2)]
    seen = []
    while time.monotonic() < end:
        seen.append(tuple(read(directory)))
    assert [os.waitpid(writer, 0)[1] for writer in writers] == [0, 0]
    assert {*seen} <= {(1,), (2,)}
    assert read(directory) in ({1}, {2})
    assert not [name for name in os.listdir(directory) if name.startswith(".")]


@sets
def test_a_failure_leaves_the_old_files_and_nothing_else(tmp_path, monkeypatch, save, read):
    directory = tmp_path / "saved"
    save(directory, 2)
    save(directory, 1)
    names = sorted(os.listdir(directory))
    real = os.fsync
    for call in range(1, 4):
        calls = []

        def full(descriptor, call=call, calls=calls):
            calls.append(descriptor)
            if len(calls) == call:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            try:
                save(directory, 2)
            except OSError as error:
                message = str(error)
                assert message.endswith(": no space left on the disk"), message
                assert message.startswith(f"cannot write {directory}{os.sep}"), message
                assert not TEMPORARY.search(message)
                assert read(directory) == {1}
        assert sorted(os.listdir(directory)) == names
        save(directory, 1)
    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space left"):
        patched.setattr(os, "fsync", lambda _: os.write(-1 * full(0, 1, []), b""))
        save(tmp_path / "made" / "here", 2)
    assert not (tmp_path / "made").exists()


LITTLE = """
import test_saving
from pathlib import Path
for size, name in ((500, "model"), (100, "tokenizer"), (60, "kit")):
    save, folder = test_saving.SETS[name][0], Path(sys.argv[1], name)
    save(folder / "saved", 1)
    with little_disk(size):
        for target in (folder / "saved", folder / "made" / "here"):
            try:
                save(target, 2)
            except OSError as error:
                print(error)
"""


def test_a_disk_that_is_really_full(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.path.dirname(__file__), *sys.path]))
    done = run_on_a_little_disk(LITTLE, tmp_path)
    lines = done.stdout.splitlines()
    assert done.stderr == "" and len(lines) == 6
    for name in ("model", "tokenizer", "kit"):
        for target in (tmp_path / name / "saved", tmp_path / name / "made" / "here"):
            line = lines.pop(0)
            assert line.startswith(f"cannot write {target}{os.sep}")
            assert line.endswith(": the file grows larger than is allowed")
        assert SETS[name][1](tmp_path / name / "saved") == {1}
        assert os.listdir(tmp_path / name) == ["saved"]
        assert not [n for n in os.listdir(tmp_path / name / "saved") if n.startswith(".")]


# ---- what lies in the directory ------------------------------------------------------------


def test_links_pipes_and_modes(tmp_path):
    """A checkpoint may be links to files elsewhere, as in a cache of downloads."""
    directory, store = tmp_path / "snapshot", tmp_path / "store"
    save_model(store, 1)
    (store / "config.json").chmod(0o640)
    directory.mkdir()
    for name in os.listdir(store):
        (directory / name).symlink_to(os.path.join("..", "store", name))
    save_model(directory, 2)
    assert read_model(directory) == {2} == read_model(store)
    assert all((directory / name).is_symlink() for name in os.listdir(store))
    assert not any((store / name).is_symlink() for name in os.listdir(store))
    assert stat.S_IMODE((store / "config.json").stat().st_mode) == 0o640
    (store / "model.safetensors").chmod(0o600)
    save_model(store, 1)
    assert stat.S_IMODE((store / "model.safetensors").stat().st_mode) == 0o600
    (tmp_path / "linked").symlink_to("store")
    save_model(tmp_path / "linked", 2)
    assert (tmp_path / "linked").is_symlink() and read_model(store) == {2}
    for folder in (directory, store):
        assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]


def test_a_folder_that_stands_in_the_way(tmp_path):
    save_model(tmp_path, 1)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").mkdir()
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(IsADirectoryError, match=r"model\.safetensors is a directory, expected"):
        save_model(tmp_path, 2)
    assert (tmp_path / "config.json").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["config.json", "model.safetensors"]


def test_an_empty_path_is_not_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for save in (
        MODELS[1].save_pretrained,
        MODELS[1].config.save_pretrained,
        TOKENIZERS[1].save_pretrained,
        TOKENIZERS[1].save_vocabulary,
        lambda path: write_kit(path, {}, {}),
    ):
        with pytest.raises(ValueError, match="the path is empty, expected a directory to write to"):
            save("")
    assert os.listdir(tmp_path) == []
    MODELS[1].save_pretrained("new/")
    TOKENIZERS[1].save_pretrained("new/")
    with pytest.raises(ValueError, match="path is empty"):
        convert("new", "", force=True)
    convert("new", "converted/")
    assert sorted(os.listdir(tmp_path)) == ["converted", "new"]
    assert read_conversion(tmp_path / "converted") == {1}


def leave(directory, suffix=""):
    """Put a folder there that looks like what a killed save left; return it."""
    left = directory / f".npbert-0123abcd{suffix}"
    left.mkdir(parents=True)
    return left


def test_what_the_dead_left_is_no_content(tmp_path):
    save_model(tmp_path / "source", 1)
    target = tmp_path / "target"
    (leave(target) / "config.json").write_text("{}")
    (target / ".npbert-89abcdef").touch()
    assert contents(target) == []
    convert(tmp_path / "source", target)  # it is as good as empty
    assert sorted(os.listdir(target)) == ["config.json", "model.safetensors"]
    with pytest.raises(ValueError, match="is not empty"):
        convert(tmp_path / "source", target)
    leave(tmp_path / "kit")
    save_kit(tmp_path / "kit", 1)
    files = ["expected", "inputs", "manifest.json", "manifest.schema.json"]
    assert sorted(os.listdir(tmp_path / "kit")) == files


def test_what_the_living_have_there_stays(tmp_path):
    with saving.saving(tmp_path) as new:
        (new / "slow").write_text("slow")
        save_model(tmp_path, 1)
        assert os.listdir(new) == ["slow"] and contents(tmp_path) == [
            "config.json",
            "model.safetensors",
        ]
    assert sorted(os.listdir(tmp_path)) == ["config.json", "model.safetensors", "slow"]


def test_a_reader_finishes_what_was_complete(tmp_path):
    save_model(tmp_path / "one", 1)
    save_model(tmp_path / "two", 2)
    os.rename(tmp_path / "two", tmp_path / "one" / ".npbert-0123abcd-complete")
    os.unlink(tmp_path / "one" / ".npbert-0123abcd-complete" / "config.json")  # moved already
    (tmp_path / "one" / "config.json").unlink()
    MODELS[2].config.save_pretrained(tmp_path / "three")
    os.rename(tmp_path / "three" / "config.json", tmp_path / "one" / "config.json")
    assert read_model(tmp_path / "one") == {2}
    assert sorted(os.listdir(tmp_path / "one")) == ["config.json", "model.safetensors"]


def test_finishing_writes_nothing_elsewhere(tmp_path):
    """A checkpoint from the web could hold a link to a file of the reader's, and a text for it."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    checkpoint = tmp_path / "checkpoint"
    (leave(checkpoint, "-complete") / "config.json").write_text("evil")
    (checkpoint / "config.json").symlink_to(mine)
    (checkpoint / ".npbert-89abcdef-complete").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "vocab.txt").write_text("evil")
    assert contents(checkpoint) == [".npbert-89abcdef-complete", "config.json"]
    assert not (checkpoint / "config.json").is_symlink()
    assert mine.read_text() == "mine" and os.listdir(tmp_path / "elsewhere") == ["vocab.txt"]


def test_a_reader_that_cannot_finish_says_so(tmp_path, monkeypatch):
    save_model(tmp_path, 1)
    (leave(tmp_path, "-complete") / "config.json").write_text("{}")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "x")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", refuse)
        with pytest.raises(PermissionError) as raised:
            BertModel.from_pretrained(tmp_path)
    cut_short = "a save was cut short, and cannot be finished: permission denied"
    assert str(raised.value) == f"{tmp_path}: {cut_short}"


def test_a_move_that_fails_at_once_is_no_save(tmp_path, monkeypatch):
    save_model(tmp_path, 1)
    real = os.replace

    def refuse(old, new):
        if COMPLETE.fullmatch(os.path.basename(os.path.dirname(old))):
            raise PermissionError(errno.EPERM, "Operation not permitted", old)
        real(old, new)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", refuse)
        with pytest.raises(PermissionError, match=r"^cannot write .*config\.json: operation not"):
            save_model(tmp_path, 2)
    assert read_model(tmp_path) == {1}
    assert sorted(os.listdir(tmp_path)) == ["config.json", "model.safetensors"]


# ---- locks ---------------------------------------------------------------------------------


def test_who_locks_a_directory_for_long_is_not_waited_for(tmp_path, monkeypatch):
    """A script may well run `flock checkpoint python train.py`."""
    save_model(tmp_path, 1)
    monkeypatch.setattr(temporary, "PATIENCE", 0.05)
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        assert read_model(tmp_path) == {1}
        save_model(tmp_path, 2)
        assert read_model(tmp_path) == {2}
    finally:
        os.close(held)


@sets
def test_a_system_without_locks(tmp_path, quick_disk, monkeypatch, save, read):
    monkeypatch.setattr(temporary, "fcntl", None)
    directory = tmp_path / "saved"
    for state in (1, 2):
        save(directory, state)
        assert read(directory) == {state}
    left = leave(directory)
    save(directory, 1)
    assert read(directory) == {1} and left.is_dir()  # nobody can tell whose it is
    assert left.name not in contents(directory)


def test_a_file_system_without_locks(tmp_path, quick_disk, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = leave(tmp_path)
    save_model(tmp_path, 1)
    assert read_model(tmp_path) == {1} and left.is_dir()
