"""Where the checkpoint of a command is: a directory, a shipped one, or one of the Hub."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

from npbert.commands.parsing import Parser, path

if TYPE_CHECKING:
    from npbert.checkpoints.shipped import HubOptions

# The options of HubOptions, by their names among the arguments of a command.
OPTIONS = ("revision", "cache_dir", "token", "local_files_only")


def add_model(command: Parser, name: str, metavar: str) -> None:
    """Add the argument that names a checkpoint, and what is to be said of one on the Hub."""
    command.add_argument(
        name,
        metavar=metavar,
        type=path,
        help="a checkpoint: a directory, a shipped name, or a name on the Hugging Face Hub "
        "(org/name), which is fetched where it is not in the cache",
    )
    hub = command.add_argument_group("of a checkpoint on the Hub")
    hub.add_argument(
        "--revision", metavar="NAME", help="a branch, a tag or a commit (default: main)"
    )
    add_cache(hub)
    hub.add_argument(
        "--token", help="a token, for what is private or gated (default: HF_TOKEN, or a login)"
    )
    hub.add_argument(
        "--local-files-only", action="store_true", help="take what is in the cache, ask nobody"
    )


def add_cache(command: Any) -> None:
    command.add_argument(
        "--cache-dir",
        metavar="DIR",
        type=path,
        help="the cache of the Hub (default: HF_HUB_CACHE, or below HF_HOME)",
    )


def find_model(
    arguments: argparse.Namespace, name: str = "model", parts: Collection[str] | None = None
) -> None:
    """Let the argument that names a checkpoint of the Hub be the directory that it is in.

    What is named otherwise stays as it is. parts: what of it is needed, by default what the task of
    the command needs. Raises what `checkpoint_directory` raises.
    """
    from npbert.checkpoints.hub_cache import hub_name
    from npbert.checkpoints.shipped import checkpoint_directory
    from npbert.corpus.jobs import parts_of

    given, options = getattr(arguments, name), given_options(arguments, name)
    if given is None:
        return
    parts = parts_of(arguments.command) if parts is None else parts
    directory = checkpoint_directory(given, parts, **options)
    if hub_name(directory):
        setattr(arguments, name, str(directory))


def given_options(arguments: argparse.Namespace, name: str = "model") -> HubOptions:
    """Return the options of the Hub among the arguments; they are refused where none is named."""
    options = {option: getattr(arguments, option) for option in OPTIONS}
    given = {option: value for option, value in options.items() if value not in (None, False)}
    if given and getattr(arguments, name) is None:
        flag = next(iter(given)).replace("_", "-")
        arguments.parser.error(f"--{flag} needs --model")
    return cast("HubOptions", given)
