"""npbert/checkpoints/writing.py: one file, written whole or not at all, and errors in words."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading

import pytest
from dying import needs_fork, run_on_a_little_disk, started

from npbert.checkpoints.temporary import TEMPORARY
from npbert.checkpoints.writing import atomic_write, output_directory, output_file

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes, links and modes of POSIX")


def write(path, content=b"new"):
    with atomic_write(path) as file:
        file.write(content)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# ---- where it is written -------------------------------------------------------------------


@posix
def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert output_file(pipe) is None
    write(pipe, b"through")
    reader.join(10)
    assert got == [b"through"] and stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


@posix
def test_links_are_followed_to_their_end(tmp_path):
    (tmp_path / "far").mkdir()
    end = tmp_path / "far" / "end"
    end.write_text("old")
    (tmp_path / "second").symlink_to(os.path.join("far", "end"))
    (tmp_path / "first").symlink_to(tmp_path / "second")
    (tmp_path / "dangling").symlink_to(os.path.join("far", "made"))
    (tmp_path / "folder").symlink_to("far")
    write(tmp_path / "first")
    write(tmp_path / "dangling", b"made")
    write(tmp_path / "folder" / "inside")
    assert end.read_bytes() == b"new" and not end.is_symlink()
    assert (tmp_path / "far" / "made").read_bytes() == b"made"
    links = ("first", "second", "dangling", "folder")
    assert all((tmp_path / name).is_symlink() for name in links)
    assert sorted(os.listdir(tmp_path)) == sorted([*links, "far"])
    assert sorted(os.listdir(tmp_path / "far")) == ["end", "inside", "made"]


@posix
def test_the_mode_of_what_is_replaced_is_kept(tmp_path):
    for bits in (0o600, 0o664, 0o755):
        (tmp_path / "file").write_text("old")
        (tmp_path / "file").chmod(bits)
        write(tmp_path / "file")
        assert mode(tmp_path / "file") == bits
    (tmp_path / "plain").touch()
    write(tmp_path / "fresh")
    assert mode(tmp_path / "fresh") == mode(tmp_path / "plain")


def test_a_name_as_long_as_names_may_be(tmp_path):
    path = tmp_path / ("n" * 255)
    write(path)
    assert path.read_bytes() == b"new"


# ---- what is refused -----------------------------------------------------------------------


def test_paths_that_are_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "file").touch()
    for path, kind, message in [
        ("", ValueError, "the path is empty, expected the name of a file to write"),
        ("sub/", IsADirectoryError, "sub/ is a directory, expected the name of a file to write"),
        ("new/", IsADirectoryError, "new/ is a directory, expected the name of a file to write"),
        ("sub", IsADirectoryError, "sub is a directory, expected the name of a file to write"),
        (".", IsADirectoryError, r"\. is a directory"),
        ("no/file", FileNotFoundError, "no/file: there is no directory no to write it to"),
        ("file/x", FileNotFoundError, "file/x: there is no directory file to write it to"),
        ("m" * 256, OSError, "^cannot write m+: the name is too long$"),
    ]:
        for act in (write, output_file):
            if len(path) > 255 and sys.platform == "win32":
                continue
            with pytest.raises(kind, match=message):
                act(path)
    assert sorted(os.listdir(tmp_path)) == ["file", "sub"]
    with pytest.raises(ValueError, match="the path is empty, expected a directory to write to"):
        output_directory("")
    with pytest.raises(ValueError, match="file: is a file, expected a directory to write to"):
        output_directory("file")
    assert output_directory("new/") == "new/"


@posix
def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=r"^cannot write .*a: the symbolic links lead in a circle$"):
        write(tmp_path / "a")
    assert (tmp_path / "a").is_symlink() and (tmp_path / "b").is_symlink()


AS_NOBODY = """
import os, sys
from npbert.checkpoints.saving import saving
from npbert.checkpoints.writing import atomic_write
if os.getuid() == 0:  # root may write everywhere
    os.setgid(65534)
    os.setuid(65534)
def attempt(block, path):
    try:
        with block(path) as new:
            pass
    except OSError as error:
        print(type(error).__name__, error)
os.chdir(sys.argv[1])
attempt(atomic_write, "sealed/page.html")
attempt(atomic_write, "open/old.html")
attempt(saving, "sealed")
attempt(saving, "sealed/new")
"""


@posix
def test_what_is_read_only_is_named_in_words():
    folder = tempfile.mkdtemp()  # pytest's own are closed to all other users
    try:
        os.chmod(folder, 0o755)
        for name in ("sealed", "open"):
            os.mkdir(os.path.join(folder, name))
        with open(os.path.join(folder, "open", "old.html"), "w"):
            pass
        os.chmod(os.path.join(folder, "open", "old.html"), 0o444)
        os.chmod(os.path.join(folder, "open"), 0o777)
        os.chmod(os.path.join(folder, "sealed"), 0o555)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, folder], capture_output=True, text=True
        )
    finally:
        os.chmod(os.path.join(folder, "sealed"), 0o755)
        shutil.rmtree(folder)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "PermissionError cannot write sealed/page.html: the folder sealed is read-only",
        "PermissionError cannot write open/old.html: the file is read-only",
        "PermissionError cannot write sealed: the folder is read-only",
        "PermissionError cannot write sealed/new: the folder sealed is read-only",
    ]


# ---- what fails ----------------------------------------------------------------------------

FULL = """
from npbert.checkpoints.writing import atomic_write
try:
    with little_disk(4096), atomic_write(sys.argv[1]) as file:
        for _ in range(100):
            file.write(b"x" * 100)
except OSError as error:
    print(error.errno, error)
"""


@posix
def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    done = run_on_a_little_disk(FULL, path)
    expected = f"{errno.EFBIG} cannot write {path}: the file grows larger than is allowed\n"
    assert (done.stdout, done.stderr) == (expected, "")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["page.html"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_no_space_is_said_in_words(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    path.write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(OSError) as raised:
            write(path)
    assert str(raised.value) == f"cannot write {path}: no space left on the disk"
    assert raised.value.errno == errno.ENOSPC
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_errors_about_other_files_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, atomic_write(tmp_path / "new") as file:
        file.write((tmp_path / "absent").read_bytes())
    assert raised.value.filename == str(tmp_path / "absent") and os.listdir(tmp_path) == []


# ---- what the dead leave -------------------------------------------------------------------


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    def die():
        with atomic_write(tmp_path / "page.html") as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), 9)

    os.waitpid(started(die), 0)
    (left,) = os.listdir(tmp_path)
    assert TEMPORARY.fullmatch(left)
    for name in (".npbert-notes", ".npbert-12345678x", "npbert-12345678"):
        (tmp_path / name).touch()  # of others
    with atomic_write(tmp_path / "living") as file:
        file.write(b"slow")
        assert left not in os.listdir(tmp_path)
        write(tmp_path / "other")  # takes nothing away from the one that lives
    assert (tmp_path / "living").read_bytes() == b"slow"
    kept = {"living", "other", ".npbert-notes", ".npbert-12345678x", "npbert-12345678"}
    assert {*os.listdir(tmp_path)} == kept
