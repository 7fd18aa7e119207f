"""Pretrains one of the four demonstration models with masked language modelling.

    python weights/pretrain.py --family convbert --workers 2   # from scratch
    python weights/pretrain.py --family bert                   # taught by convbert-tiny
    python weights/pretrain.py --family mobilebert
    python weights/pretrain.py --family squeezebert

Needs the extra `train`. Runs on CPU workers (one thread each, gradients averaged) or on one GPU.
State is saved every three minutes and when the process is told to stop; the same command goes on
from there. Batches are a function of the seed, the step and the number of workers, so stopping
changes nothing.

What makes a small budget go far:
- only the hidden positions pass through the vocabulary projection;
- the first model's embeddings start from a factorisation of word piece co-occurrence, its output
  biases from frequencies, so that training does not begin with the long plateau of learning
  unigrams; the other families start from its embeddings and learn from its hidden states and
  predictions (distillation.py);
- Muon on the encoder's matrices, AdamW on everything else (`--optimizer adamw` for comparison);
- the rate stays constant and then falls to zero, so that a run can be prolonged or cut short while
  it is constant; windows of 64 pieces first, of 128 in the last part;
- at the very end every other batch is what people type: single sentences (in a window a hidden word
  often stands a second time, and a model that has seen nothing else copies too much), and for a
  next-sentence head a sentence or two with the one behind them;
- two forward passes of the library are replaced by faster ones (faster.py).
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import signal
import tempfile
import time
from pathlib import Path

import faster
import numpy as np
import torch
import torch.distributed
import torch.nn.functional as F
from batches import NO_PAIR, Rows, encode_corpus
from corpus import SPECIAL, held_out_pairs, held_out_windows
from distillation import load_teacher, start_from_teacher, transfer_loss
from families import (
    FAMILIES,
    hidden_states,
    new_model,
    predicts_next_sentence,
    vocabulary_bias,
    vocabulary_logits,
)
from optimisation import make_optimizers, schedule, set_rates
from tqdm import tqdm

from npbert.checkpoints.saving import saving

HERE = Path(__file__).parent
SHORT, LONG = 64, 128  # pieces in a window: most of the time, and in the last part
NEXT_WEIGHTS = 0.2, 1.0  # of the next-sentence loss: most of the time, and in the closing batches
LEAST_MASKED = 0.2  # the share of hidden pieces when the rate has fallen
PAIRS_MASKED = 0.05  # in pairs as people type them, who hide nothing


# ---- model ---------------------------------------------------------------------------------


def cooccurrence_embeddings(stream: np.ndarray, vocabulary: int, width: int, seed: int):
    """Return embeddings [vocabulary, width] from the positive PMI of pieces at most 4 apart.

    A truncated singular value decomposition of the matrix of positive pointwise mutual information
    (Levy and Goldberg 2014), by subspace iteration, scaled to a standard deviation of 0.05.
    """
    counts = np.zeros(vocabulary * vocabulary, np.float32)
    ids = stream.astype(np.int64)
    for distance in range(1, 5):
        pair = ids[:-distance] * vocabulary + ids[distance:]
        counts += np.bincount(pair, minlength=len(counts)).astype(np.float32)
    counts = counts.reshape(vocabulary, vocabulary)
    counts += counts.T.copy()
    total, rows = counts.sum(), counts.sum(1) + 1
    with np.errstate(divide="ignore"):
        ppmi = np.maximum(np.log(counts * total / np.outer(rows, rows)), 0)
    basis = np.random.default_rng(seed).standard_normal((vocabulary, width + 16), np.float32)
    for _ in range(4):
        basis = np.linalg.qr(ppmi @ basis)[0]
    values, vectors = np.linalg.eigh(basis.T @ (ppmi @ basis))
    best = np.argsort(-np.abs(values))[:width]
    embeddings = (basis @ vectors[:, best]) * np.sqrt(np.abs(values[best]))
    return embeddings / embeddings.std() * 0.05


@torch.no_grad()
def start_from_statistics(model, stream: np.ndarray, seed: int) -> None:
    """Let embeddings and output biases start from the counts of the corpus."""
    table = model.get_input_embeddings().weight
    counts = np.bincount(stream, minlength=len(table)) + 1.0
    table.copy_(torch.from_numpy(cooccurrence_embeddings(stream, *table.shape, seed)))
    vocabulary_bias(model).copy_(torch.from_numpy(np.log(counts / counts.sum())))


def batch_shape(step: int, arguments) -> tuple[int, int, dict[str, float]]:
    """Return the length of a worker's rows, how many there are, and what they hold."""
    family = FAMILIES[arguments.family]
    if step < (1 - arguments.long) * arguments.steps:
        return SHORT, arguments.batch, family.layouts
    if step < arguments.steps or step % 2:
        return LONG, arguments.batch // 2, family.layouts
    return family.closing_length, arguments.batch * 2, family.closing


def total_loss(model, teacher, batch, left: float, arguments):
    """Return the loss to descend, and the nats a hidden piece (with a teacher, also its distance).

    batch: arrays as Rows.batch makes them; left: as schedule returns it.
    """
    states, pooled = hidden_states(model, batch)
    hidden = states[-1].flatten(0, 1)[batch["where"]]  # only these need the vocabulary: [N, D]
    logits = vocabulary_logits(model, hidden)
    typed = batch["ids"].shape[1] == FAMILIES[arguments.family].closing_length
    if teacher is None or (typed and predicts_next_sentence(model)):
        loss = F.cross_entropy(logits, batch["labels"])
        figures = (loss.item(), 0.0)
    else:
        loss, truth, distance = transfer_loss(
            arguments.family, states, logits, teacher, batch, left
        )
        figures = (truth.item(), distance.item())
    pairs = batch["follows"] != NO_PAIR
    if predicts_next_sentence(model) and pairs.any():
        judged = model.cls.seq_relationship(pooled[pairs]).float()
        loss = loss + NEXT_WEIGHTS[typed] * F.cross_entropy(judged, batch["follows"][pairs])
    return loss, figures


def validate(model, windows, pairs, device, limit=256) -> list[float]:
    """Return nats a hidden piece, top-1 and next-sentence accuracy on the first validation rows."""
    nats, right, count, judged = 0.0, 0, 0, []
    model.eval()
    for i in range(0, min(limit, len(windows[0])), 32):
        ids, labels = (torch.as_tensor(array[i : i + 32], device=device) for array in windows)
        truth = labels[labels != -100]
        batch = {"ids": ids, "types": torch.zeros_like(ids), "attended": torch.ones(ids.shape)}
        batch["attended"] = batch["attended"].to(device)
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            logits = vocabulary_logits(model, hidden_states(model, batch)[0][-1][labels != -100])
        nats += F.cross_entropy(logits, truth, reduction="sum").item()
        right += (logits.argmax(-1) == truth).sum().item()
        count += len(truth)
        if predicts_next_sentence(model):
            ids, types, labels = (
                torch.as_tensor(array[i : i + 32], device=device) for array in pairs
            )
            batch = {"ids": ids, "types": types, "attended": batch["attended"]}
            with torch.no_grad(), torch.autocast(device, torch.bfloat16):
                logits = model.cls.seq_relationship(hidden_states(model, batch)[1])
            judged += (logits.float().argmax(-1) == labels).tolist()
    model.train()
    figures = [round(nats / count, 4), round(right / count, 4)]
    return [*figures, round(float(np.mean(judged)), 4)] if judged else figures


# ---- the run -------------------------------------------------------------------------------


def average_gradients(model, workers: int) -> None:
    """Replace every worker's gradients by their mean."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    torch.distributed.all_reduce(flat)
    for gradient, mean in zip(gradients, flat.div_(workers).split([g.numel() for g in gradients])):
        gradient.copy_(mean.view_as(gradient))


def export(model, arguments) -> None:
    """Write the checkpoint: weights in half precision, to be computed with in single precision."""
    with saving(arguments.out) as folder:
        write_checkpoint(model, arguments, folder)
        if not (arguments.out / "vocab.txt").exists():
            shutil.copy(arguments.vocabulary, folder / "vocab.txt")
        shutil.copy(arguments.state / "curve.csv", folder / "training.csv")


def write_checkpoint(model, arguments, directory: Path) -> None:
    """Write weights, config.json and tokenizer_config.json."""
    model.cpu().half().save_pretrained(directory)
    (directory / "model.safetensors").chmod(0o644)  # the library lets nobody else read it
    config = json.loads((directory / "config.json").read_text())
    config["dtype"] = "float32"
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer = {
        "tokenizer_class": FAMILIES[arguments.family].tokenizer,
        "do_lower_case": True,
        "model_max_length": LONG,
        **{f"{name.strip('[]').lower()}_token": name for name in SPECIAL},
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n")


def train(worker: int, arguments) -> None:
    """Run one worker from the last saved state to the end, or until it is told to stop."""
    stopping = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.append(True))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    if arguments.workers > 1:
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{arguments.rendezvous}",
            rank=worker,
            world_size=arguments.workers,
        )
    first = worker == 0
    batches = {name: getattr(arguments, name) for name in ("seed", "workers", "batch", "optimizer")}

    vocabulary = arguments.vocabulary.read_text("utf-8").split("\n")
    stops = [vocabulary.index(mark) for mark in ".?!"]
    documents = encode_corpus("train", arguments.vocabulary)
    rows = Rows(documents, stops, arguments.seed)
    held_out = encode_corpus("validation", arguments.vocabulary)
    windows = held_out_windows(held_out, LONG, SPECIAL)
    pairs = held_out_pairs(held_out, LONG, SPECIAL, stops)

    def make_batch(step, left, worker=worker, device=device):
        length, size, layouts = batch_shape(step, arguments)
        index = (step * arguments.workers + worker) * size
        mask_rate = LEAST_MASKED + (arguments.mask_rate - LEAST_MASKED) * left
        if "short" in layouts:
            mask_rate = PAIRS_MASKED
        arrays = rows.batch(index, size, length, layouts, mask_rate)
        return {name: torch.as_tensor(array, device=device) for name, array in arrays.items()}

    state_file = arguments.state / "state.pt"
    resumed = None
    if state_file.exists():
        resumed = torch.load(state_file, map_location="cpu", weights_only=True)
        if resumed["batches"] != batches:
            raise SystemExit(f"{state_file} was made with {resumed['batches']}, not {batches}")
    model, teacher = new_model(arguments.family, arguments.seed), None
    faster.check(model)
    taught = bool(FAMILIES[arguments.family].taught)
    if arguments.start and not resumed:
        model = type(model).from_pretrained(arguments.start, dtype=torch.float32)
    elif taught and not resumed:
        some = [make_batch(step, 1.0, 0, "cpu") for step in range(40)]  # the same for all workers
        start_from_teacher(arguments.family, model, load_teacher(arguments.teacher), some)
    elif not resumed:
        start_from_statistics(model, rows.stream, arguments.seed)
    if taught:
        teacher = load_teacher(arguments.teacher, device, torch.bfloat16)
    model.to(device).train()
    optimizers = make_optimizers(model, arguments)
    step, pieces, log, earlier = 0, 0, [], 0
    if arguments.start and not resumed:
        with open(arguments.start / "training.csv", newline="") as file:
            log = [
                [float(x) if "." in x else int(x) for x in row] for row in [*csv.reader(file)][1:]
            ]
        step, pieces = arguments.steps, log[-1][1]
        earlier = log[-1][0] - step  # steps of earlier closings
    if resumed:
        model.load_state_dict(resumed["model"])
        for optimizer, state in zip(optimizers, resumed["optimizers"]):
            optimizer.load_state_dict(state)
        step, pieces, log = resumed["step"], resumed["pieces"], resumed["log"]
        earlier = resumed["earlier"]

    def save():
        state = {
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "step": step,
            "pieces": pieces,
            "log": log,
            "earlier": earlier,
            "batches": batches,  # what they are a function of, but for the step
        }
        columns = ["step", "pieces", "train_nats", "validation_nats", "validation_top1"]
        if predicts_next_sentence(model):
            columns.append("validation_next")
        with saving(arguments.state) as folder:
            torch.save(state, folder / state_file.name)
            with open(folder / "curve.csv", "w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(log)

    steps = arguments.steps + arguments.sentences
    progress = tqdm(total=steps, initial=step, disable=not first, mininterval=10)
    saved, recent = time.monotonic(), []
    while step < steps:
        share, left = schedule(step, arguments)
        batch = make_batch(step, left)
        set_rates(optimizers, share, arguments)
        with torch.autocast(device, torch.bfloat16, enabled=arguments.bfloat16):
            loss, figures = total_loss(model, teacher, batch, left, arguments)
        loss.backward()
        if arguments.workers > 1:
            average_gradients(model, arguments.workers)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        pieces += arguments.workers * batch["ids"].numel()
        recent.append(figures)
        progress.update()

        # All workers leave at the same step, or the one left behind would wait for ever.
        stop = torch.tensor(float(bool(stopping)))
        if arguments.workers > 1:
            torch.distributed.all_reduce(stop)
        if first and (step % arguments.validate == 0 or step == steps):
            held_out_figures = validate(model, windows, pairs, device)
            nats, distance = np.mean(recent, axis=0)
            log.append([earlier + step, pieces, round(float(nats), 4), *held_out_figures])
            trained = f"step {step}: train {nats:.3f} nats, distance {distance:.3f}"
            progress.write(f"{trained}, validation {held_out_figures}")
            recent = []
        if first and (stop or step == steps or time.monotonic() - saved > 180):
            save()
            saved = time.monotonic()
        if stop:
            return
    if first:
        export(model, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", choices=FAMILIES, required=True)
    family = FAMILIES[parser.parse_known_args()[0].family]
    name = f"{parser.parse_known_args()[0].family}-tiny"
    teacher = HERE / "convbert-tiny"
    parser.add_argument("--out", type=Path, default=HERE / name)
    parser.add_argument("--state", type=Path, default=HERE / ".training" / name)
    parser.add_argument("--teacher", type=Path, default=teacher)
    parser.add_argument("--start", type=Path, help="a finished checkpoint: the closing steps alone")
    parser.add_argument("--vocabulary", type=Path, default=teacher / "vocab.txt")
    parser.add_argument("--steps", type=int, default=family.steps)
    parser.add_argument("--workers", type=int, default=1, help="CPU processes")
    parser.add_argument(
        "--batch", type=int, default=family.batch, help="windows of 64 a worker and step"
    )
    parser.add_argument("--rate", type=float, default=family.rate, help="of AdamW, at its peak")
    parser.add_argument("--muon-rate", type=float, default=family.muon_rate, help="of Muon")
    parser.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--warmup", type=int, default=200, help="steps in which the rate rises")
    parser.add_argument("--falling", type=float, default=family.falling, help="last share of steps")
    parser.add_argument("--long", type=float, default=family.long, help="last share of steps")
    parser.add_argument("--sentences", type=int, default=family.sentences, help="steps more")
    parser.add_argument("--mask-rate", type=float, default=family.mask_rate)
    parser.add_argument("--validate", type=int, default=250, help="steps between validations")
    parser.add_argument("--bfloat16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for split in ("train", "validation"):
        encode_corpus(split, arguments.vocabulary)
    if arguments.workers == 1:
        train(0, arguments)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the workers, which save and leave
    with tempfile.TemporaryDirectory() as folder:
        arguments.rendezvous = Path(folder) / "rendezvous"
        torch.multiprocessing.spawn(train, (arguments,), arguments.workers)


if __name__ == "__main__":
    main()
