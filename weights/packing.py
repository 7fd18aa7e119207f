"""Puts the checkpoints into a wheel, or leaves them out: a build hook of hatchling.

`pip install .` and `pip wheel .` carry the checkpoints inside the package. With NPBERT_SLIM=1 in
the environment the wheel holds the code alone. NPBERT_WEIGHTS then says where checkpoints are
(npbert/checkpoints/shipped.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Weights(BuildHookInterface):
    """Adds every checkpoint in this folder; the corpus and the scripts stay behind."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or os.environ.get("NPBERT_SLIM", "") not in ("", "0"):
            return  # where the source is used in place, they lie beside it
        for config in sorted(Path(self.root, "weights").glob("*/config.json")):
            name = config.parent.name
            build_data["force_include"][str(config.parent)] = f"npbert/weights/{name}"
