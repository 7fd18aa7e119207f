"""Fine-tunes a base checkpoint on a task whose labels the corpus itself gives.

    python weights/finetune.py restore

Needs the extra `train`. Writes weights/NAME/ with weights in half precision, or nothing: the
directory is filled beside its place and moved there at the end. Runs on one CPU thread or a GPU.
The examples and their order are a function of the task and the seed.

Rows of about the same length share a batch, so that little is computed for padding. All parameters
learn under one cycle: the rates rise over the first tenth and then fall to zero.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import math
import shutil
import time
from pathlib import Path

import faster
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from tasks.rows import collate
from tqdm import tqdm

from npbert import BertTokenizer
from npbert.checkpoints.directory import read_weights
from npbert.checkpoints.saving import saving

HERE = Path(__file__).parent
# Peak rates of AdamW and of Muon on the encoder's matrices (0: AdamW for all), pieces in a batch,
# how often each example is seen.
SETTINGS = {
    "restore": {"rate": 7e-4, "muon_rate": 1e-3, "pieces": 2048, "epochs": 1},
    "disturbed": {"rate": 1e-3, "muon_rate": 0.0, "pieces": 2048, "epochs": 1},
    "answer": {"rate": 7e-4, "muon_rate": 0.0, "pieces": 2048, "epochs": 1},
    "choice": {"rate": 7e-4, "muon_rate": 1e-3, "pieces": 2560, "epochs": 1},
}


# ---- losses --------------------------------------------------------------------------------


def span_loss(model, batch, side_head):
    """Return the mean of -log p(start) and -log p(end), over all places where the answer stands.

    An answer that the passage holds twice may be found at either place.
    """
    starts, ends = batch.pop("starts"), batch.pop("ends")  # [B, T], 1 where an answer starts, ends
    output = model(**batch)
    losses = []
    for logits, right in ((output.start_logits, starts), (output.end_logits, ends)):
        log_probs = logits.float().log_softmax(-1)
        losses.append(-log_probs.masked_fill(right == 0, -math.inf).logsumexp(-1).mean())
    return sum(losses) / 2


def place_loss(model, batch, side_head):
    """Return the cross entropy of the label.

    In training the states below the last layer also have to tell where the disturbance is, by a
    head that is thrown away: a sentence has one label, and that alone teaches slowly.
    """
    places = batch.pop("places")  # [B, T]
    output = model(**batch, output_hidden_states=model.training)
    if not model.training:
        return output.loss
    logits = side_head(output.hidden_states[-2])[..., 0].float()
    entropy = F.binary_cross_entropy_with_logits(logits, places.float(), reduction="none")
    return output.loss + 4 * entropy[batch["attention_mask"] == 1].mean()


def library_loss(model, batch, side_head):
    return model(**batch).loss


LOSSES = {"answer": span_loss, "disturbed": place_loss}


# ---- the model -----------------------------------------------------------------------------


def new_model(task, base: Path, seed: int):
    """Load the base with the task's head, which is new.

    But for multiple choice: there a choice is scored by how much more the next-sentence head of
    the base, if it has one, speaks for "follows" than for "does not".
    """
    torch.manual_seed(seed)
    family = json.loads((base / "config.json").read_text())["architectures"][0].split("For")[0]
    options = {}
    if task.LABELS:
        options["id2label"] = dict(enumerate(task.LABELS))
        options["label2id"] = {label: i for i, label in enumerate(task.LABELS)}
    kind = getattr(transformers, f"{family}For{task.HEAD}")
    model = kind.from_pretrained(base, dtype=torch.float32, attn_implementation="eager", **options)
    if task.HEAD == "MultipleChoice":
        relationship = read_weights(base).get("cls.seq_relationship.weight")  # [2, D]
        if relationship is not None:
            follows, does_not = torch.from_numpy(np.float32(relationship))
            with torch.no_grad():
                model.classifier.weight.copy_((follows - does_not)[None])
    return model


def export(model, base: Path, directory: Path, log: list[list[float]]) -> None:
    """Write the checkpoint: weights in half precision, to be computed with in single precision."""
    with saving(directory) as folder:
        model.cpu().half().save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        config["dtype"] = "float32"
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        for file in ("vocab.txt", "tokenizer_config.json"):
            shutil.copy(base / file, folder / file)
        with open(folder / "training.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "train_nats", "validation_nats"])
            writer.writerows(log)
        for file in folder.iterdir():
            file.chmod(0o644)  # the library lets nobody else read the weights


# ---- batches -------------------------------------------------------------------------------


def batches_of(rows: list[dict], pieces: int, rng: np.random.Generator) -> list[list[dict]]:
    """Return the rows in batches of about `pieces` tokens, alike in length, in a random order."""
    batches = []
    order = rng.permutation(len(rows))
    for pool in np.array_split(order, max(1, len(rows) // 4000)):
        pool = sorted(pool, key=lambda i: rows[i]["input_ids"].shape[-1])
        batch: list[dict] = []
        for i in pool:
            if batch and (len(batch) + 1) * rows[i]["input_ids"].size > pieces:
                batches.append(batch)
                batch = []
            batch.append(rows[i])
        batches.append(batch)
    return [batches[i] for i in rng.permutation(len(batches))]


def tensors(rows: list[dict], device: str) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(a).to(device) for name, a in collate(rows).items()}


# ---- optimisation --------------------------------------------------------------------------


def make_optimizers(model, side_head, settings) -> list[torch.optim.Optimizer]:
    """Return AdamW (vectors undecayed), and Muon for the encoder's matrices where it has a rate."""
    named = dict(model.named_parameters())
    matrices = [n for n, p in named.items() if ".encoder." in n and p.ndim == 2]
    if not settings["muon_rate"]:
        matrices = []
    rest = [p for n, p in named.items() if n not in matrices] + list(side_head.parameters())
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in rest if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizers = [torch.optim.AdamW(groups, lr=settings["rate"], betas=(0.9, 0.98))]
    if matrices:
        muon = torch.optim.Muon(
            [named[n] for n in matrices],
            lr=settings["muon_rate"],
            weight_decay=0.01,
            adjust_lr_fn="match_rms_adamw",
        )
        optimizers.append(muon)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


# ---- the run -------------------------------------------------------------------------------


def rate_at(step: int, steps: int) -> float:
    """Return the share of the peak rate: up over the first tenth, then down a cosine to zero."""
    warmup = max(1, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / max(1, steps - warmup))


def validate(model, compute_loss, batches) -> float:
    model.eval()
    with torch.no_grad():
        losses = [compute_loss(batch).item() for batch in batches]
    model.train()
    return float(np.mean(losses))


def train(name: str, arguments) -> None:
    task = importlib.import_module(f"tasks.{name}")
    settings = {"examples": task.EXAMPLES, **SETTINGS[name]}
    settings |= {key: value for key in settings if (value := getattr(arguments, key)) is not None}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()  # that the head is new, is known
    transformers.logging.disable_progress_bar()
    base = arguments.base or HERE / task.BASE
    tokenizer = BertTokenizer.from_pretrained(base)
    rng = np.random.default_rng(arguments.seed)

    started = time.monotonic()
    count = settings["examples"]
    chosen = task.examples("train", tokenizer, arguments.skip + count)[arguments.skip :]
    rows = [task.encode(example, tokenizer) for example in chosen]
    held_out = [task.encode(e, tokenizer) for e in task.examples("validation", tokenizer, 200)]
    epochs = (batches_of(rows, settings["pieces"], rng) for _ in range(settings["epochs"]))
    batches = [batch for epoch in epochs for batch in epoch]
    held_out = batches_of(held_out, settings["pieces"], rng)
    print(f"{len(rows):,} examples made in {time.monotonic() - started:.0f} s: {settings}")

    faster.install()
    model = new_model(task, base, arguments.seed).to(device).train()

    side_head = torch.nn.Linear(model.config.hidden_size, 1).to(device)  # see place_loss

    def compute_loss(batch):
        with torch.autocast(device, torch.bfloat16, enabled=arguments.bfloat16):
            return LOSSES.get(name, library_loss)(model, tensors(batch, device), side_head)

    optimizers = make_optimizers(model, side_head, settings)
    log, recent = [], []
    progress = tqdm(batches, mininterval=10)
    for step, batch in enumerate(progress, 1):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_at(step - 1, len(batches))
        loss = compute_loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        recent.append(loss.item())
        if step % max(1, len(batches) // 10) == 0 or step == len(batches):
            nats = validate(model, compute_loss, held_out)
            log.append([step, round(float(np.mean(recent)), 4), round(nats, 4)])
            progress.write(f"step {step}: train {np.mean(recent):.4f}, validation {nats:.4f}")
            recent = []
    export(model, base, arguments.out or HERE / task.NAMES[-1], log)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=SETTINGS)
    parser.add_argument("--base", type=Path, help="the checkpoint to start from")
    parser.add_argument("--out", type=Path, help="the directory to write")
    parser.add_argument("--rate", type=float, help="peak learning rate of AdamW")
    parser.add_argument("--muon-rate", type=float, help="peak learning rate of Muon, 0 for none")
    parser.add_argument("--pieces", type=int, help="word pieces in a batch, padding included")
    parser.add_argument("--examples", type=int, help="how many of the training split")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many examples before")
    parser.add_argument("--epochs", type=int, help="how often each example is seen")
    parser.add_argument("--bfloat16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    train(arguments.task, arguments)


if __name__ == "__main__":
    main()
