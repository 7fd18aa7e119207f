"""BERT, ConvBERT, MobileBERT and SqueezeBERT as readable forward passes in plain NumPy."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Every public name and the file it is written in: a file is imported when a name is first wanted.
_HOMES = {
    "auto": ["AutoConfig", "AutoModel", "AutoModelForMaskedLM"],
    "backend": ["get_backend", "set_backend"],
    "bert": ["BertForMaskedLM", "BertModel"],
    "config": ["BertConfig", "ConvBertConfig"],
    "convbert": ["ConvBertForMaskedLM", "ConvBertModel"],
    "shipped": ["shipped_checkpoints"],
    "tasks": ["fill_mask"],
    "tokenizer": [
        f"{family}{kind}"
        for family in ("Bert", "ConvBert", "MobileBert", "SqueezeBert")
        for kind in ("Tokenizer", "TokenizerFast")
    ],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"npbert.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
