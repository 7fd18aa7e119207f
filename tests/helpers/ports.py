"""The ports of tutorials/ in other languages: how each is built and run, as it is and changed."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from npbert.checkpoints import safetensors

ROOT = Path(__file__).parents[2]
KITS = ROOT / "weights" / "golden"


@dataclass(frozen=True)
class Port:
    """A port: its file in tutorials/, the family that it computes, and the program it needs.

    build  what turns SOURCE into PROGRAM, with the other files in HERE; empty where nothing does
    run    what runs it, before the names of the kit and of the file to write
    """

    file: str
    family: str
    needs: str
    build: str
    run: str

    @property
    def source(self):
        return (ROOT / "tutorials" / self.file).read_text("utf-8")

    def kits(self):
        return sorted(path.parent.name for path in KITS.glob(f"{self.family}-*/manifest.json"))

    def built(self, folder, source=None):
        """Build a source, the port's own unless another is given; return the command that runs it.

        Skips where the program is missing; fails there if NPBERT_REQUIRE_PORTS is set.
        """
        if not shutil.which(self.needs):
            give_up = pytest.fail if os.environ.get("NPBERT_REQUIRE_PORTS") else pytest.skip
            give_up(f"builds or runs a port with {self.needs}, which was not found")
        script, program = folder / self.file, folder / "program.exe"
        script.write_text(source or self.source, "utf-8")
        names = {"SOURCE": str(script), "PROGRAM": str(program), "HERE": str(ROOT / "tutorials")}
        if self.build:
            command = [names.get(word, word) for word in self.build.split()]
            if source:  # used once: to make it fast would take longer than it gives
                command = [word for word in command if not word.startswith("-O")]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
        return [names.get(word, word) for word in self.run.split()]


def run(command, kit, folder):
    """Run a built port on a kit; return what it wrote."""
    mine = folder / "mine.safetensors"
    done = subprocess.run([*command, kit, mine], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return {name: array.copy() for name, array in safetensors.read(mine).items()}


CONVBERT = Port("convbert.mjs", "convbert", "node", "", "node SOURCE")
SQUEEZEBERT = Port(
    "squeezebert.c",
    "squeezebert",
    "cc",
    "cc -std=c99 -O2 -Wall -Wextra -Werror -I HERE SOURCE -lm -o PROGRAM",
    "PROGRAM",
)
MOBILEBERT = Port(
    "mobilebert.rs",
    "mobilebert",
    "rustc",
    "rustc -O --edition 2021 -D warnings SOURCE -o PROGRAM",
    "PROGRAM",
)
# No port, but what checks one without Python.
CHECKER = Port(
    "check_kit.c",
    "",
    "cc",
    "cc -std=c99 -O2 -Wall -Wextra -Werror -I HERE SOURCE -lm -o PROGRAM",
    "PROGRAM",
)
PORTS = CONVBERT, SQUEEZEBERT, MOBILEBERT
