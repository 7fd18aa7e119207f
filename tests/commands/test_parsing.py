"""What parsers refuse before any work: empty paths, a slash after a file, misspelt words."""

import pytest

from npbert.__main__ import main
from npbert.commands.options import make_parser


def parsers(parser, name=""):
    """Yield every command with its name, those of `golden` included."""
    [*below] = [action for action in parser._actions if hasattr(action.choices, "values")]
    if not below:
        yield name.strip(), parser
    for action in below:
        for word, each in action.choices.items():
            yield from parsers(each, f"{name} {word}")


COMMANDS = dict(parsers(make_parser()))
# What an argument that is a path is called in the help: no other argument may be called so.
FOLDERS, FILES = ("DIR", "MODEL", "SRC", "DST", "KIT", "OUT", "MINE"), ("FILE",)
PATHS = [
    (command, action.dest, action.metavar)
    for command, parser in COMMANDS.items()
    for action in parser._actions
    if action.metavar in (*FOLDERS, *FILES)
]


def refused(arguments, capsys):
    """Return the one line that a wrong command line gets."""
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    out, err = capsys.readouterr()
    assert (leaving.value.code, out, err.count("\n")) == (2, "", 1)
    return err


def call(command, dest, value):
    """Return a command line whose arguments are all "x", but for one."""
    words = command.split()
    for action in COMMANDS[command]._actions:
        given = value if action.dest == dest else "x"
        if action.dest == dest and action.option_strings:
            words.append(f"{action.option_strings[-1]}={given}")
        elif not action.option_strings:
            words.append(given)
    return words


def test_the_arguments_that_are_paths_are_known():
    assert len(PATHS) >= 35
    assert {metavar for _, _, metavar in PATHS} == {*FOLDERS, *FILES}


@pytest.mark.parametrize("command, dest, metavar", PATHS)
def test_an_empty_path_is_an_error(command, dest, metavar, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    err = refused(call(command, dest, ""), capsys)
    assert "the path is empty (a variable that is not set?)" in err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("command, dest, metavar", [path for path in PATHS if path[2] in FILES])
def test_a_path_that_ends_in_a_slash_is_no_file(command, dest, metavar, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    err = refused(call(command, dest, f"{tmp_path}/file/"), capsys)
    assert f"{tmp_path}/file/ is a directory, expected the name of a file" in err


@pytest.mark.parametrize(
    "words, message",
    [
        ("fil-mask a", "there is no 'fil-mask'; did you mean fill-mask?"),
        ("Classify a", "there is no 'Classify'; did you mean classify?"),
        ("golden chek a b", "there is no 'chek'; did you mean check?"),
        ("frobnicate", "there is no 'frobnicate', expected one of fill-mask, classify, tokens,"),
        ("fill-mask a --topk 3", "arguments: --topk 3; did you mean --top-k?"),
        ("fill-mask a --target=b", None),  # the beginning of an option will do
        ("embed a --poling=mean", "arguments: --poling=mean; did you mean --pooling?"),
        ("golden check a b --al", None),
        ("golden check a b --jsn", "arguments: --jsn; did you mean --json?"),
        ("models --colour", "unrecognized arguments: --colour (see npbert models --help)"),
    ],
)
def test_what_is_misspelt_gets_a_proposal(words, message, capsys):
    if message is None:
        make_parser().parse_args(words.split())
    else:
        assert message in refused(words.split(), capsys)
