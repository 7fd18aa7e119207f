"""Published values of the original checkpoints, for whoever has the files.

Set NPBERT_PRETRAINED to a folder with the directories of the checkpoints, named as on the hub
(FOLDER/google/mobilebert-uncased/config.json, ...); those that are not there are skipped. Whoever
has a network runs weights/check_originals.py, which fetches them, and compares more.
"""

import json
import os
from pathlib import Path

import pytest
from weight_scripts import WEIGHTS, load_script

pytestmark = pytest.mark.pretrained
VALUES = json.loads((WEIGHTS / "published_values.json").read_text("utf-8"))["checkpoints"]
CHECKS = [(name, check) for name, checks in VALUES.items() for check in checks]


@pytest.mark.parametrize("name, check", CHECKS, ids=[f"{name}" for name, _ in CHECKS])
def test_a_published_value(name, check):
    folder = os.environ.get("NPBERT_PRETRAINED")
    if not folder or not Path(folder, name).is_dir():
        pytest.skip(f"needs {name} in the folder that NPBERT_PRETRAINED names")
    report = load_script("check_originals").with_published(Path(folder, name), check)
    assert report["right"], report
