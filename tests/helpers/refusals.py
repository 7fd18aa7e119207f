"""Why a reader of files refuses one."""

import pytest


def refusal_of(read, path):
    """Return what a reader finds wrong with a file: a ValueError of one line, the path first."""
    with pytest.raises(ValueError) as error:
        read(path)
    message = str(error.value)
    assert type(error.value) is ValueError and "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")
