"""The files of a tokenizer: vocab.txt, tokenizer.json, tokenizer_config.json and the older ones.

vocab.txt                the tokens, one a line
tokenizer.json           the pipeline of the Rust library; its vocabulary overrides vocab.txt
tokenizer_config.json    the arguments of the tokenizer; `added_tokens_decoder` holds the added
                         tokens by their ids
special_tokens_map.json  the special tokens
added_tokens.json        the ids of added tokens; this file and the one above are read only if
                         tokenizer_config.json has no `added_tokens_decoder`
"""

from __future__ import annotations

import os
from typing import Any

from npbert.checkpoints.writing import atomic_write
from npbert.tokenizer.added_tokens import WHITE_SPACE, AddedToken, added_token, short
from npbert.tokenizer.file_values import (
    EXTRA,
    KINDS,
    KINDS_OF_NORMALIZER,
    check_kinds,
    check_special_tokens,
    is_id,
    is_side,
    naming,
    numbered_tokens,
    part_of,
)

# ---- vocab.txt -----------------------------------------------------------------------------


def read_vocabulary(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read a vocab.txt: one token per line; the id of a token is its line number, from 0.

    Only a line feed ends a line, and white space at the end of a line is dropped. Of several equal
    tokens the last one counts. A file that is not UTF-8 is a ValueError.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)}: not UTF-8 at byte {error.start}") from None
    if not lines[-1]:
        lines.pop()  # the last line feed ends a line, it does not begin one
    return {line.rstrip(WHITE_SPACE): number for number, line in enumerate(lines)}


def check_vocabulary(id_of_token: dict[str, int], where: str) -> None:
    """Raise a ValueError if two tokens share an id, or for a wrong type of a token or an id."""
    token_of_id: dict[int, str] = {}
    for token, number in id_of_token.items():
        if not isinstance(token, str) or not is_id(number):
            given = f"{short.repr(token)} has {short.repr(number)}"
            raise ValueError(f"{where}: {given}, expected a string and its id")
        if number in token_of_id:
            both = f"{short.repr(token_of_id[number])} and {short.repr(token)}"
            raise ValueError(f"{where}: {both} have one id, {number}")
        token_of_id[number] = token


def write_vocabulary(path: str | os.PathLike[str], id_of_token: dict[str, int]) -> None:
    """Write a vocab.txt from which `read_vocabulary` reads the same vocabulary, atomically.

    A token that cannot be a line, or ids too sparse for line numbers, are a ValueError.
    """
    lines: list[str] = []
    for token, number in sorted(id_of_token.items(), key=lambda entry: entry[1]):
        if "\n" in token or token != token.rstrip(WHITE_SPACE):
            raise ValueError(f"token {token!r} (id {number}) cannot be a line of a vocab.txt")
        if number > 2 * len(id_of_token):
            raise ValueError(
                f"token {token!r} has the id {number} in a vocabulary of {len(id_of_token)}: too "
                "sparse for a vocab.txt, where ids are the numbers of lines"
            )
        # An id without a token gets the line of the next id: of equal lines the last one counts.
        lines += [token] * (number + 1 - len(lines))
    with atomic_write(path) as file:
        file.write("".join([f"{line}\n" for line in lines]).encode("utf-8"))


# ---- directories ---------------------------------------------------------------------------


def read_arguments(
    directory: str, settings: tuple[str, ...], given: dict[str, Any], obeys_normalizer: bool
) -> dict[str, Any]:
    """Read the arguments of the tokenizer from the files of a directory.

    settings          the arguments besides tokens that tokenizer_config.json may hold
    given             what the caller wants instead
    obeys_normalizer  take do_lower_case, strip_accents and tokenize_chinese_chars from the
                      normalizer in tokenizer.json, if there is one

    A directory without any vocabulary is a FileNotFoundError. A damaged file, or one that asks for
    another tokenizer than BERT's, is a ValueError that names it.
    """
    config = read_json_if_there(directory, "tokenizer_config.json")
    pipeline = read_json_if_there(directory, "tokenizer.json")
    path = os.path.join(directory, "vocab.txt")
    if not pipeline and not os.path.isfile(path):
        raise FileNotFoundError(f"{directory}: no vocab.txt and no tokenizer.json")

    with naming(os.path.join(directory, "tokenizer_config.json")):
        check_kinds(config, KINDS)
        check_special_tokens(config, given)
        decoder = part_of(config, "added_tokens_decoder")
        numbered = numbered_tokens([*decoder.items()], "added_tokens_decoder")
    where = os.path.join(directory, "tokenizer.json")
    with naming(where):
        listed = listed_tokens(pipeline)
    if "max_len" in config:
        config.setdefault("model_max_length", config["max_len"])
    stored = config | given
    if "added_tokens_decoder" in given:
        numbered = [*(given["added_tokens_decoder"] or {}).items()]
    elif "added_tokens_decoder" not in config:  # then the older files count
        older = read_json_if_there(directory, "special_tokens_map.json")
        with naming(os.path.join(directory, "special_tokens_map.json")):
            check_special_tokens(older, given)
        for name, token in older.items():
            if not given.get(name):
                is_token = isinstance(token, dict) and name != EXTRA[0]
                stored[name] = added_token(token, name, special=True) if is_token else token
        with naming(os.path.join(directory, "added_tokens.json")):
            numbered = added_tokens_of_version_4(directory, stored)
        numbered += listed
    by_text = {str(token): token for _, token in numbered}
    before = [token for _, token in listed] if obeys_normalizer else []
    in_order = [*before, *[token for _, token in sorted(dict(numbered).items())]]

    arguments = {name: stored[name] for name in settings if name in stored}
    arguments |= {name: value for name, value in given.items() if name not in (*EXTRA, "vocab")}
    arguments["added_tokens_decoder"] = dict(enumerate(in_order))
    extra: Any = next((stored[name] for name in EXTRA if stored.get(name)), [])
    named = {name: token for name, token in stored.items() if name.endswith("_token")}
    if isinstance(extra, dict):
        named, extra = named | extra, []
    for name, token in named.items():
        if isinstance(token, (str, dict, AddedToken)):
            is_given = isinstance(token, str)
            token = token if is_given else added_token(token, f"{directory}: {name}", special=True)
            arguments[name] = by_text.get(str(token), token)
        elif token is None or name in arguments:
            arguments[name] = token
        elif not isinstance(token, bool):  # add_bos_token is a setting, not a token
            raise ValueError(f"{directory}: {name} is {token!r}, expected a string")
    arguments["extra_special_tokens"] = [
        token if isinstance(token, str) else added_token(token, f"{directory}: {EXTRA[0]}", True)
        for token in extra
    ]
    if not pipeline:
        return {"vocab": path, **arguments}
    with naming(where):
        arguments["vocab"] = vocabulary_of_pipeline(pipeline)
        if obeys_normalizer:
            arguments |= options_of_normalizer(pipeline)
        return sides_of_pipeline(pipeline) | arguments


def added_tokens_of_version_4(
    directory: str, stored: dict[str, Any]
) -> list[tuple[int, AddedToken]]:
    """Read added_tokens.json, which holds ids alone; other files say which tokens are special."""
    special = {str(token) for name, token in stored.items() if name.endswith("_token")}
    for name in EXTRA:
        special |= set(map(str, stored.get(name) or []))
    numbered = []
    for text, number in read_json_if_there(directory, "added_tokens.json").items():
        if not is_id(number):
            given = f"{short.repr(text)} has {short.repr(number)}"
            raise ValueError(f"{given}, expected a string and its id")
        is_special = text in special
        numbered.append((number, AddedToken(text, normalized=not is_special, special=is_special)))
    return numbered


def listed_tokens(pipeline: dict[str, Any]) -> list[tuple[int, AddedToken]]:
    """Return the added tokens in a tokenizer.json and their ids."""
    listed = pipeline.get("added_tokens")
    if not isinstance(listed, (list, type(None))):
        raise ValueError(f"added_tokens is {short.repr(listed)}, expected a list of tokens")
    for token in listed or []:
        if not isinstance(token, dict):
            raise ValueError(f"added_tokens holds {short.repr(token)}, expected an object")
    return numbered_tokens([(token.get("id"), token) for token in listed or []], "added_tokens")


def vocabulary_of_pipeline(pipeline: dict[str, Any]) -> dict[str, int]:
    """Return the vocabulary in a tokenizer.json; another pipeline than BERT's is a ValueError."""
    model = part_of(pipeline, "model", "BERT's, WordPiece")
    for part, expected in (
        ("model", "WordPiece"),
        ("normalizer", "BertNormalizer"),
        ("pre_tokenizer", "BertPreTokenizer"),
    ):
        kind = part_of(pipeline, part, f"BERT's, {expected}").get("type")
        if kind is None and part == "model" and "continuing_subword_prefix" in model:
            kind = "WordPiece"  # older files do not say it
        if kind != expected:
            kind = kind if isinstance(kind, str) and len(kind) <= 40 else short.repr(kind)
            raise ValueError(f"its {part} is {kind} (type), expected BERT's, {expected}")
    for option, value in (("continuing_subword_prefix", "##"), ("max_input_chars_per_word", 100)):
        given = model.get(option, value)
        if given != value:
            raise ValueError(f"its {option} is {short.repr(given)}, expected {value!r}")
    if not isinstance(model.get("vocab"), dict) or not model["vocab"]:
        raise ValueError(
            f"its vocab is {short.repr(model.get('vocab'))}, no table of ids by tokens"
        )
    check_vocabulary(model["vocab"], "model.vocab")
    return model["vocab"]


def options_of_normalizer(pipeline: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that the normalizer in a tokenizer.json stands for."""
    normalizer = pipeline["normalizer"]
    check_kinds(normalizer, KINDS_OF_NORMALIZER)
    if not normalizer.get("clean_text", True):
        raise ValueError("its normalizer does not clean the text (clean_text), which BERT's does")
    return {
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
    }


def sides_of_pipeline(pipeline: dict[str, Any]) -> dict[str, str]:
    """Return where a tokenizer.json truncates and pads, as far as it says so."""
    sides = {}
    for part, name in (("truncation", "truncation_side"), ("padding", "padding_side")):
        direction = part_of(pipeline, part, "an object or null").get("direction", "")
        if direction != "":
            side = direction.lower() if isinstance(direction, str) else direction
            if not is_side(side):
                given = f"{part}.direction is {short.repr(direction)}"
                raise ValueError(f'{given}, expected "Right" or "Left"')
            sides[name] = side
    return sides


def read_json_if_there(directory: str, name: str) -> dict[str, Any]:
    if not os.path.exists(os.path.join(directory, name)):
        return {}
    from npbert.checkpoints.directory import read_json

    return read_json(directory, name)


def write_files(
    directory: str | os.PathLike[str], tokenizer: Any, settings: dict[str, Any]
) -> list[str]:
    """Write what stands beside vocab.txt, and return the names.

    A tokenizer.json is among them: it is what other libraries read, and one that lay there before
    would go before vocab.txt.
    """
    from npbert.checkpoints.directory import write_json

    tokens = tokenizer.added_tokens_decoder
    special = {
        name: token.as_json() if isinstance(token, AddedToken) else token
        for name, token in tokenizer._named_tokens.items()
    }
    extra = [
        token.as_json() if isinstance(token, AddedToken) else token
        for token in tokenizer._extra_tokens
    ]
    config = {**settings, **tokenizer.special_tokens_map}
    if extra:
        config["extra_special_tokens"] = tokenizer.extra_special_tokens
        special["additional_special_tokens"] = extra
    config["added_tokens_decoder"] = {
        str(number): token.as_json() for number, token in tokens.items()
    }
    contents = {
        "tokenizer.json": pipeline_of(tokenizer),
        "tokenizer_config.json": config,
        "special_tokens_map.json": special,
        "added_tokens.json": {
            token.content: number
            for number, token in tokens.items()
            if token.content not in tokenizer.id_of_token
        },
    }
    for name, content in contents.items():
        write_json(directory, name, content)
    return [*contents]


def pipeline_of(tokenizer: Any) -> dict[str, Any]:
    """Return what the tokenizer is to the Rust library: the content of a tokenizer.json."""

    def added(name: str) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": 0}}

    first, second = tokenizer.cls_token, tokenizer.sep_token
    closing = {"SpecialToken": {"id": second, "type_id": 1}}
    row = [added(first), {"Sequence": {"id": "A", "type_id": 0}}, added(second)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, **token.as_json()}
            for number, token in tokenizer.added_tokens_decoder.items()
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": tokenizer.tokenize_chinese_chars,
            "strip_accents": tokenizer.strip_accents,
            "lowercase": tokenizer.do_lower_case,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": row,
            "pair": [*row, {"Sequence": {"id": "B", "type_id": 1}}, closing],
            "special_tokens": {
                token: {
                    "id": token,
                    "ids": [tokenizer.convert_tokens_to_ids(token)],
                    "tokens": [token],
                }
                for token in (first, second)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": tokenizer.token_of_id[tokenizer.unknown_id],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": tokenizer.id_of_token,
        },
    }
