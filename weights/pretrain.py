"""Pretrains the demonstration ConvBERT from scratch with masked language modelling.

    python weights/pretrain.py --workers 2

Needs the extra `train`. Runs on CPU workers (one thread each, gradients averaged) or on one GPU.
State is saved every three minutes and when the process is told to stop; the same command goes on
from there. Batches are a function of the seed, the step and the number of workers, so stopping
changes nothing.

What makes a small budget go far:
- only the hidden positions pass through the vocabulary projection;
- embeddings start from a factorisation of word piece co-occurrence, output biases from frequencies,
  so that training does not begin with the long plateau of learning unigrams;
- Muon on the encoder's matrices, AdamW on everything else (`--optimizer adamw` for comparison);
- the rate stays constant and then falls to zero, so that a run can be prolonged or cut short while
  it is constant; windows of 64 pieces first, of 128 in the last part;
- at the very end every other batch is single sentences, which is what people type: in a window a
  hidden word often stands a second time, and a model that has seen nothing else copies too much;
- self-attention is computed from shifted sums, not from unfolded windows.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import json
import math
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed
import torch.nn.functional as F
from corpus import held_out_windows, read_documents
from tokenizers import BertWordPieceTokenizer
from tqdm import tqdm
from transformers import ConvBertConfig, ConvBertForMaskedLM
from transformers.models.convbert.modeling_convbert import ConvBertSelfAttention

HERE = Path(__file__).parent
SPECIAL = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
SHORT, LONG = 64, 128  # pieces in a window: most of the time, and in the last part
SENTENCE = 32  # pieces in a row of the batches that hold sentences only
MIXED = {"whole": 0.7, "pair": 0.2, "sentence": 0.1}  # what a row of a batch holds, and how often
SENTENCES = {"sentence": 1.0}


# ---- data ----------------------------------------------------------------------------------


def encode_corpus(split: str, vocabulary: Path) -> list[np.ndarray]:
    """Return the word piece ids of each document of a split, cached beside the training state."""
    digest = hashlib.sha256(vocabulary.read_bytes()).hexdigest()[:8]
    cache = HERE / ".training" / f"{split}-{digest}.npz"
    if not cache.exists():
        tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        documents = []
        for paragraphs in tqdm(read_documents(split), f"tokenizing {split}"):
            encodings = tokenizer.encode_batch(paragraphs, add_special_tokens=False)
            documents.append(np.concatenate([np.array(e.ids, np.int32) for e in encodings]))
        lengths = np.array([len(ids) for ids in documents])
        cache.parent.mkdir(exist_ok=True)
        np.savez(cache, ids=np.concatenate(documents), lengths=lengths)
    stored = np.load(cache)
    return np.split(stored["ids"], np.cumsum(stored["lengths"])[:-1])


class Rows:
    """Training rows as a function of (seed, index): windows, pairs of windows, single sentences."""

    def __init__(self, stream: np.ndarray, full_stops: list[int], seed: int):
        self.stream, self.seed = stream, seed
        self.sentence_starts = np.flatnonzero(np.isin(stream, full_stops)) + 1
        self.order = functools.cache(self.order)  # a pass is drawn once, not once a row

    def order(self, length: int, number: int) -> np.ndarray:
        """Return where the windows of pass `number` start: all of the corpus, shuffled."""
        rng = np.random.default_rng([self.seed, length, number])
        return rng.integers(length) + rng.permutation(len(self.stream) // length - 1) * length

    def window(self, index: int, length: int) -> np.ndarray:
        number, place = divmod(index, len(self.stream) // length - 1)
        start = self.order(length, number)[place]
        return self.stream[start : start + length]

    def row(
        self, index: int, length: int, layouts: dict[str, float], rng: np.random.Generator
    ) -> tuple[np.ndarray, int]:
        """Return the ids of one row [length] and where its second segment starts."""
        cls, sep = SPECIAL["[CLS]"], SPECIAL["[SEP]"]
        layout = rng.choice(list(layouts), p=list(layouts.values()))
        window = self.window(index, length)
        if layout == "pair":  # two unrelated texts, so that the second token type is learnt
            first = int(rng.integers(8, length - 11))
            place = rng.integers(len(self.stream) - length)
            other = self.stream[place : place + length - 3 - first]
            return np.concatenate([[cls], window[:first], [sep], other, [sep]]), first + 2
        if layout == "sentence":  # what a user types: short, and padded behind
            i = rng.integers(len(self.sentence_starts) - 10)
            starts = self.sentence_starts[i : i + 10]
            ends = starts[(starts - starts[0] >= 6) & (starts - starts[0] <= length - 2)]
            if len(ends):
                sentence = self.stream[starts[0] : ends[0]]
                row = np.full(length, SPECIAL["[PAD]"])
                row[: len(sentence) + 2] = np.concatenate([[cls], sentence, [sep]])
                return row, length
        return np.concatenate([[cls], window[: length - 2], [sep]]), length

    def batch(
        self, first: int, size: int, length: int, layouts: dict[str, float], mask_rate: float
    ) -> dict[str, np.ndarray]:
        """Return `size` rows from row `first` on, with `mask_rate` of their pieces hidden."""
        rng = np.random.default_rng([self.seed, length, first, 1])
        rows = [self.row(first + i, length, layouts, rng) for i in range(size)]
        ids = np.stack([row for row, _ in rows]).astype(np.int64)  # [size, length]
        types = (np.arange(length) >= np.array([[second] for _, second in rows])).astype(np.int64)
        pieces = np.flatnonzero(~np.isin(ids, list(SPECIAL.values())))
        where = np.sort(rng.choice(pieces, int(mask_rate * len(pieces)), replace=False))
        labels = ids.reshape(-1)[where]
        attended = (ids != SPECIAL["[PAD]"]).astype(np.float32)
        ids.reshape(-1)[where] = SPECIAL["[MASK]"]
        return {"ids": ids, "types": types, "attended": attended, "where": where, "labels": labels}


# ---- model ---------------------------------------------------------------------------------


def shifted_self_attention(self, x, attention_mask=None, *args, **kwargs):
    """ConvBertSelfAttention.forward with its convolutions as sums of shifted arrays: same result.

    The library unfolds K copies of the values; nine shifted products need neither the copies nor
    their gradients. The four projections of x are one matrix product.
    """
    B, T, _ = x.shape
    A, H, K = self.all_head_size, self.num_attention_heads, self.conv_kernel_size
    projections = (self.query, self.key, self.value, self.conv_out_layer)
    weight = torch.cat([p.weight for p in projections])
    bias = torch.cat([p.bias for p in projections])
    query, key, value, local = F.linear(x, weight, bias).split(A, dim=-1)

    def shifted_sum(values, factors):
        padded = F.pad(values, (0,) * 2 * (values.ndim - 2) + (K // 2, K // 2))
        return sum(padded[:, k : k + T] * factors[k] for k in range(K))

    separable = self.key_conv_attn_layer
    span = shifted_sum(x, separable.depthwise.weight[:, 0].t())
    span = F.linear(span, separable.pointwise.weight[:, :, 0], separable.bias[:, 0])
    filters = self.conv_kernel_layer(span * query).view(B, T, H, K, 1).softmax(3)
    near = shifted_sum(local.reshape(B, T, H, -1), filters.unbind(3))

    query, key, value = (y.view(B, T, H, -1).transpose(1, 2) for y in (query, key, value))
    scores = query @ key.transpose(-1, -2) / math.sqrt(self.attention_head_size)
    probs = (
        scores.float().softmax(-1)
        if attention_mask is None
        else ((scores.float() + attention_mask).softmax(-1))
    )
    far = (probs.to(value.dtype) @ value).transpose(1, 2)
    return torch.cat([far, near], 2).reshape(B, T, -1), probs


def masked_loss(model, batch, device):
    """Return the mean negative log likelihood of the hidden pieces, and how many came first."""
    batch = {name: torch.as_tensor(array, device=device) for name, array in batch.items()}
    hidden = model.convbert(
        batch["ids"], attention_mask=batch["attended"], token_type_ids=batch["types"]
    )[0]
    hidden = hidden.flatten(0, 1)[batch["where"]]  # only these need the vocabulary: [N, D]
    logits = model.generator_lm_head(model.generator_predictions(hidden)).float()
    right = (logits.argmax(-1) == batch["labels"]).sum().item()
    return F.cross_entropy(logits, batch["labels"]), right


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


def new_model(seed: int) -> ConvBertForMaskedLM:
    torch.manual_seed(seed)
    config = ConvBertConfig(
        vocab_size=8192,
        hidden_size=256,
        embedding_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        head_ratio=2,
        conv_kernel_size=9,
        intermediate_size=1024,
        max_position_embeddings=LONG,
        hidden_dropout_prob=0.0,  # a few passes over the corpus leave nothing to over-fit
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-12,
        pad_token_id=SPECIAL["[PAD]"],
        bos_token_id=None,
        eos_token_id=None,
    )
    config._attn_implementation = "eager"
    return ConvBertForMaskedLM(config)


def teach_statistics(model: ConvBertForMaskedLM, stream: np.ndarray, seed: int) -> None:
    """Let embeddings and output biases start from the counts of the corpus."""
    config = model.config
    counts = np.bincount(stream, minlength=config.vocab_size) + 1.0
    embeddings = cooccurrence_embeddings(stream, config.vocab_size, config.embedding_size, seed)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.from_numpy(embeddings))
        model.generator_lm_head.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))


def check_shifted_self_attention(model) -> None:
    """Stop at once if the fast self-attention is not the library's own."""
    ids = torch.arange(2 * 20).view(2, 20) + 5
    with torch.no_grad():
        fast = model(ids).logits
        ConvBertSelfAttention.forward, kept = LIBRARY_FORWARD, ConvBertSelfAttention.forward
        slow = model(ids).logits
        ConvBertSelfAttention.forward = kept
    assert torch.allclose(fast, slow, atol=1e-4), (fast - slow).abs().max()


LIBRARY_FORWARD = ConvBertSelfAttention.forward


# ---- optimisation --------------------------------------------------------------------------


def make_optimizers(model, arguments):
    """Return Muon for the encoder's matrices and AdamW for the rest (norms, biases undecayed)."""
    parameters = dict(model.named_parameters())
    matrices = {
        n for n, p in parameters.items() if "encoder.layer" in n and p.ndim == 2 and "bias" not in n
    }
    if arguments.optimizer == "adamw":
        matrices = set()
    decayed = [p for n, p in parameters.items() if p.ndim > 1 and n not in matrices]
    plain = [p for n, p in parameters.items() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizers = [torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.98))]
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                [parameters[n] for n in sorted(matrices)],
                lr=1.0,
                weight_decay=0.05,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers


def schedule(step: int, arguments) -> tuple[float, float]:
    """Return the learning rate as a share of its peak, and the share of pieces to hide.

    The rate rises, is constant, and falls to zero. Many hidden pieces teach faster, fewer are what
    the model will meet: their share falls to 0.2 as the rate falls. The sentences at the end start
    from a third of the peak rate.
    """
    if step >= arguments.steps:
        return (arguments.steps + arguments.sentences - step) / arguments.sentences / 3, 0.2
    left = min(1.0, (arguments.steps - step) / (arguments.falling * arguments.steps))
    return min((step + 1) / arguments.warmup, left), 0.2 + (arguments.mask_rate - 0.2) * left


def batch_shape(step: int, arguments) -> tuple[int, int, dict[str, float]]:
    """Return the length of a worker's rows, how many there are, and what they hold."""
    if step < (1 - arguments.long) * arguments.steps:
        return SHORT, arguments.batch, MIXED
    if step < arguments.steps or step % 2:
        return LONG, arguments.batch // 2, MIXED
    return SENTENCE, arguments.batch * 2, SENTENCES


def average_gradients(model, workers: int) -> None:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    torch.distributed.all_reduce(flat)
    for gradient, mean in zip(gradients, flat.div_(workers).split([g.numel() for g in gradients])):
        gradient.copy_(mean.view_as(gradient))


def validate(model, held_out, device, limit=256):
    """Return nats a hidden piece and top-1 on the first `limit` validation windows."""
    ids, labels = held_out[0][:limit], held_out[1][:limit]
    nats, right, count = 0.0, 0, 0
    model.eval()
    for i in range(0, len(ids), 32):
        where = np.flatnonzero(labels[i : i + 32] != -100)
        chunk = {
            "ids": ids[i : i + 32],
            "types": np.zeros_like(ids[i : i + 32]),
            "attended": np.ones(ids[i : i + 32].shape, np.float32),
            "where": where,
            "labels": labels[i : i + 32].reshape(-1)[where],
        }
        with torch.no_grad():
            loss, good = masked_loss(model, chunk, device)
        nats, right, count = nats + loss.item() * len(where), right + good, count + len(where)
    model.train()
    return nats / count, right / count


def save_atomically(path: Path, write) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        write(file.name)
    os.replace(file.name, path)


def export(model: ConvBertForMaskedLM, directory: Path) -> None:
    """Write the checkpoint: weights in half precision, to be computed with in single precision."""
    model.cpu().half().save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    config["dtype"] = "float32"
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer = {
        "tokenizer_class": "ConvBertTokenizer",
        "do_lower_case": True,
        "model_max_length": LONG,
        **{f"{name.strip('[]').lower()}_token": name for name in SPECIAL},
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n")


# ---- the run -------------------------------------------------------------------------------


def train(worker: int, arguments) -> None:
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

    stream = np.concatenate(encode_corpus("train", arguments.vocabulary))
    held_out = held_out_windows(encode_corpus("validation", arguments.vocabulary), LONG, SPECIAL)
    vocabulary = arguments.vocabulary.read_text("utf-8").split("\n")
    rows = Rows(stream, [vocabulary.index(mark) for mark in ".?!"], arguments.seed)

    ConvBertSelfAttention.forward = shifted_self_attention
    state_file = arguments.state / "state.pt"
    resumed = None
    if state_file.exists():
        resumed = torch.load(state_file, map_location="cpu", weights_only=True)
        if resumed["batches"] != batches:
            raise SystemExit(f"{state_file} was made with {resumed['batches']}, not {batches}")
    model = new_model(arguments.seed)
    if not resumed:
        teach_statistics(model, stream, arguments.seed)
    check_shifted_self_attention(model)
    model.to(device).train()
    optimizers = make_optimizers(model, arguments)
    step, log = 0, []
    if resumed:
        model.load_state_dict(resumed["model"])
        for optimizer, state in zip(optimizers, resumed["optimizers"]):
            optimizer.load_state_dict(state)
        step, log = resumed["step"], resumed["log"]

    def save():
        state = {
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "step": step,
            "log": log,
            "batches": batches,  # what they are a function of, but for the step
        }
        save_atomically(state_file, lambda name: torch.save(state, name))
        with open(arguments.state / "curve.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "pieces", "train_nats", "validation_nats", "validation_top1"])
            writer.writerows(log)

    steps = arguments.steps + arguments.sentences
    progress = tqdm(total=steps, initial=step, disable=not first, mininterval=10)
    saved, recent = time.monotonic(), []
    while step < steps:
        length, size, layouts = batch_shape(step, arguments)
        index = (step * arguments.workers + worker) * size
        share, mask_rate = schedule(step, arguments)
        batch = rows.batch(index, size, length, layouts, mask_rate)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                muon = isinstance(optimizer, torch.optim.Muon)
                group["lr"] = share * (arguments.muon_rate if muon else arguments.rate)
        with torch.autocast(device, torch.bfloat16, enabled=arguments.bfloat16):
            loss, _ = masked_loss(model, batch, device)
        loss.backward()
        if arguments.workers > 1:
            average_gradients(model, arguments.workers)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        recent.append(loss.item())
        progress.update()

        # All workers leave at the same step, or the one left behind would wait for ever.
        stop = torch.tensor(float(bool(stopping)))
        if arguments.workers > 1:
            torch.distributed.all_reduce(stop)
        if first and (step % arguments.validate == 0 or step == steps):
            nats, top1 = validate(model, held_out, device)
            pieces = step * arguments.workers * arguments.batch * SHORT
            log.append(
                [step, pieces, round(float(np.mean(recent)), 4), round(nats, 4), round(top1, 4)]
            )
            trained = f"step {step}: train {np.mean(recent):.3f}"
            progress.write(f"{trained}, validation {nats:.3f} nats, top-1 {top1:.1%}")
            recent = []
        if first and (stop or step == steps or time.monotonic() - saved > 180):
            save()
            saved = time.monotonic()
        if stop:
            return
    if first:
        export(model, arguments.out)
        shutil.copy(arguments.state / "curve.csv", arguments.out / "training.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "convbert-tiny")
    parser.add_argument("--state", type=Path, default=HERE / ".training" / "convbert-tiny")
    parser.add_argument("--vocabulary", type=Path, default=HERE / "convbert-tiny" / "vocab.txt")
    parser.add_argument("--steps", type=int, default=5200)
    parser.add_argument("--workers", type=int, default=1, help="CPU processes")
    parser.add_argument("--batch", type=int, default=48, help="windows of 64 a worker and step")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate of AdamW")
    parser.add_argument("--muon-rate", type=float, default=3e-3, help="peak learning rate of Muon")
    parser.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--warmup", type=int, default=200, help="steps in which the rate rises")
    parser.add_argument("--falling", type=float, default=0.355, help="last share, rate to zero")
    parser.add_argument("--long", type=float, default=0.15, help="last share, windows of 128")
    parser.add_argument("--sentences", type=int, default=500, help="steps more, half of sentences")
    parser.add_argument("--mask-rate", type=float, default=0.3)
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
