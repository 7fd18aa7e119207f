"""Measures a corpus: two workers with one thread each beside one process with two, and memory.

    python tests/benchmark_corpus.py [--model bert-base] [--texts 64] [--backend numba]

A published base model with random weights and texts of the corpus that npbert was trained on go
through `npbert embed`, each time as a process of its own; nothing is asserted. Of a worker the most
memory is shown that it had for itself alone: what it had written to, and what it had read of files
that nobody else had. The memory is read from /proc, so Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PREFIXES = {
    "bert-base": "Bert",
    "convbert-base": "ConvBert",
    "mobilebert": "MobileBert",
    "squeezebert": "SqueezeBert",
}
MEGABYTE = 1e6


def make_model(folder: Path, prefix: str) -> None:
    """Save a model of the published size, with the vocabulary of a shipped one."""
    import npbert

    shipped = npbert.shipped_checkpoints()["convbert-tiny"]
    words = (shipped / "vocab.txt").read_text("utf-8")
    config = getattr(npbert, f"{prefix}Config")(vocab_size=len(words.splitlines()))
    getattr(npbert, f"{prefix}Model")(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text(words, "utf-8")


def make_texts(file: Path, count: int) -> None:
    """Write texts of 5 to 60 words, the same every time."""
    draw = random.Random(0)
    words = (ROOT / "README.md").read_text("utf-8").split()
    with file.open("w", encoding="utf-8") as out:
        for number in range(count):
            text = " ".join(draw.choices(words, k=draw.randint(5, 60)))
            out.write(json.dumps({"id": number, "text": text}) + "\n")


def private(process: int) -> dict[str, float]:
    """Return the megabytes that a process alone has: "Dirty" ones, and "Clean" pages of files."""
    found = {"Dirty": 0.0, "Clean": 0.0}
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return found
    for line in lines:
        for kind in found:
            if line.startswith(f"Private_{kind}:"):
                found[kind] = int(line.split()[1]) * 1024 / MEGABYTE
    return found


def children(process: int) -> list[int]:
    try:
        return [
            int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def measure(command: list[str], threads: int) -> tuple[float, float, dict[int, dict[str, float]]]:
    """Run a command; return seconds, those of all cores together, and what each child had most."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment[name] = str(threads)
    start, before = time.perf_counter(), os.times()
    most: dict[int, dict[str, float]] = {}
    process = subprocess.Popen(command, env=environment)
    while process.poll() is None:
        for child in children(process.pid):
            now = private(child)
            if now["Dirty"] >= most.get(child, now)["Dirty"]:
                most[child] = now
        time.sleep(0.1)
    seconds, after = time.perf_counter() - start, os.times()
    if process.returncode:
        sys.exit(process.returncode)
    used = after.children_user + after.children_system
    return seconds, used - before.children_user - before.children_system, most


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures a corpus in workers.")
    parser.add_argument("--model", choices=PREFIXES, default="bert-base", metavar="NAME")
    parser.add_argument("--texts", type=int, default=64, metavar="N")
    parser.add_argument("--backend", choices=("numpy", "numba"), default="numba")
    parser.add_argument(
        "--corpus", type=int, default=1_000_000, metavar="N", help="texts of a corpus"
    )
    parser.add_argument("--machines", type=int, default=1, metavar="N", help="as large as this one")
    given = parser.parse_args()
    os.environ["NPBERT_BACKEND"] = given.backend
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder / "model", PREFIXES[given.model])
        weights = (folder / "model" / "model.safetensors").stat().st_size / MEGABYTE
        make_texts(folder / "in.jsonl", given.texts)
        command = [sys.executable, "-m", "npbert", "embed", "--model", str(folder / "model")]
        command += ["--input", str(folder / "in.jsonl"), "--output", str(folder / "out.jsonl")]
        print(f"{given.model}, {weights:.0f} MB of weights, {given.texts} texts, {given.backend}")
        print(f"{'':<28}{'seconds':>9}{'texts/s':>9}{'of all cores':>14}")
        best = 0.0
        for workers, threads in ((1, 2), (2, 1)):
            options = ["--workers", str(workers), "--force"]
            seconds, used, most = measure([*command, *options], threads)
            who = f"{workers} x {threads} thread{'s' if threads > 1 else ''}"
            print(f"{who:<28}{seconds:>9.1f}{given.texts / seconds:>9.1f}{used:>14.1f}")
            best = max(best, given.texts / seconds)
        for own in most.values():
            dirty, clean = own["Dirty"], own["Clean"]
            print(f"a worker's own memory: {dirty:.0f} MB, and {clean:.0f} of files")
        hours = given.corpus / best / given.machines / 3600
        print(
            f"{given.corpus:,} such texts / {best:.1f} a second / {given.machines} such machines "
            f"= {hours:.1f} hours"
        )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
