"""What goes into a golden kit: every case run in every way, tolerances, manifest and arrays."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import npbert
from npbert.golden.cases import CaseInputs
from npbert.golden.comparing import Entries, difference, entries, sample
from npbert.golden.kit import EXPECTED, EXPECTED_FLOAT32, INPUTS, SCHEMA, WEIGHTS
from npbert.golden.manifest import DTYPES, FORMAT, FORMAT_VERSION, Case, Sampled, Tolerance
from npbert.golden.mistakes.catalogue import applicable, planted
from npbert.golden.mistakes.planting import edited
from npbert.golden.parameters import described
from npbert.golden.passes import (
    Arrays,
    Pass,
    check_equal,
    from_reference,
    rebuilt,
    run_npbert,
    run_numba,
    with_rounded_parameters,
)
from npbert.golden.reference import Reference, require
from npbert.golden.summing import ORDERS
from npbert.golden.tolerances import LEAST, SAFETY, Measured, exact
from npbert.model.base import PreTrainedModel
from npbert.tokenizer.bert_tokenizer import BertTokenizer
from npbert.tracing.annotations import annotate, legend
from npbert.tracing.quantities import INPUTS as GIVEN
from npbert.tracing.recording import Quantity, Trace

DOCUMENTATION = "weights/golden/README.md"
MOVED = 3  # runs in each dtype with every quantity moved a little

METHOD = (
    "Outputs of modules and of the model are transformers' (PyTorch, float64, eager attention); "
    "all other values are npbert's in float64, after every module was found equal to transformers' "
    "to 1e-10 of its largest value. Tolerances bound the largest absolute error of a tensor. "
    "They were measured against float64: in float32 from npbert's plain NumPy run, from two more "
    "in which all sums are taken term by term, forwards and backwards, from its compiled run, and "
    "from torch; in float16 and bfloat16 from npbert with every quantity rounded as soon as it is "
    "computed, and from torch in that dtype; in each dtype also from runs with every quantity "
    "moved at random by up to one epsilon, as another order of sums would. The largest error "
    "relative to the largest value, over all runs and cases, and for steps that only npbert has "
    f"also over the modules before and after, is taken {SAFETY:g} times, at least {LEAST:g} "
    "epsilons, and rounded up to two digits. "
    "'expected' is the error from the values here, 'local' that from the step recomputed in "
    "float64 from the run's own values. Inputs are exact. Padded positions have tolerances of "
    "their own: along the first axis T where real is false in the row of axis B; a tensor without "
    "these two axes counts as padded altogether where its case has padding. Not compared: what "
    "depends on the mask in rows that are padding altogether (where a tensor has no axis B, all of "
    "it), and places where the expected value is below -1e30, masked scores, where -1e4 or less "
    "will do."
)


class Contents:
    """The contents of a kit: every case is run, and tolerances are measured, when it is made."""

    def __init__(
        self,
        model: PreTrainedModel,
        made: list[CaseInputs],
        keep: Callable[[str, str], bool] | None = None,
        sample_step: int | None = None,
        tokenizer: BertTokenizer | None = None,
    ):
        self.model = model
        self.precise = rebuilt(model, model.config, np.float64)
        self.narrow = {d: with_rounded_parameters(model, d) for d in ("float16", "bfloat16")}
        self.reference = Reference(model)
        self.made = made
        self.cases: dict[str, Case] = {case.name: case.described(tokenizer) for case in made}
        self.sample_step = sample_step
        self.measured = Measured()
        self.facts: dict[str, dict[str, Any]] = {}  # what the manifest says of each quantity
        self.passes: dict[str, Pass] = {}
        self.expected: dict[str, Arrays] = {}
        self.single: dict[str, Arrays] = {}  # of one float32 run
        self.from_reference: set[str] = set()
        for case in made:
            self.run(case)
        order = self.passes[made[0].name].trace.names()
        self.measured.inherit(order, self.from_reference)
        self.order = [name for name in order if keep is None or keep(name, self.kind(name))]

    def run(self, case: CaseInputs) -> None:
        """Run one case in every way."""
        inputs, name = case.arrays, case.name
        ours = self.passes[name] = run_npbert(self.precise, inputs)
        if name == self.made[0].name:
            words = words_of(ours.trace, self.model)
            for quantity in ours.trace:
                self.facts[quantity.name] = self.fact(quantity, ours, words[quantity.name])
        elif self.facts.keys() != set(ours.trace.names()):
            raise ValueError(f"case {name} has other quantities than case {self.made[0].name}")
        kinds = {q.name: self.entries(q.name, self.cases[name], q.shape) for q in ours.trace}
        theirs = self.reference.run(inputs, "float64")
        check_equal(theirs, ours, kinds)
        exact_values = from_reference(theirs, ours)
        self.from_reference |= exact_values.keys()
        expected = self.expected[name] = ours.values() | exact_values
        for tensor, array in expected.items():
            self.measured.note_scale(name, tensor, array, kinds[tensor])
        for dtype, run in self.runs(inputs, ours):
            self.single.setdefault(name, run)  # the first one: npbert's plain definitions
            run = {n: a for n, a in run.items() if not n.startswith(GIVEN)}
            self.measured.note_run(self.precise, name, dtype, inputs, run, expected, kinds)

    def runs(self, inputs: Mapping[str, np.ndarray], ours: Pass) -> Iterable[tuple[str, Arrays]]:
        """Yield the dtype and the quantities of each run that tolerances are measured from."""
        yield "float32", run_npbert(self.model, inputs).values()
        for seed in range(MOVED):
            yield "float32", run_npbert(self.model, inputs, seed=seed).values()
        for order in ORDERS:
            with edited(order, self.model):
                yield "float32", run_npbert(self.model, inputs).values()
        yield "float32", run_numba(self.model, inputs, ours.returned)
        yield "float32", from_reference(self.reference.run(inputs, "float32"), ours)
        for dtype, model in self.narrow.items():
            yield dtype, run_npbert(model, inputs, dtype).values()
            for seed in range(MOVED):
                yield dtype, run_npbert(model, inputs, dtype, seed).values()
            try:
                run = self.reference.run(inputs, dtype)
            except RuntimeError:  # torch lacks an operation in this dtype on this machine
                continue
            yield dtype, from_reference(run, ours)

    def entries(self, name: str, case: Case, shape: tuple[int, ...]) -> Entries:
        fact = self.facts[name]
        axes = None if fact["axes"] is None else tuple(fact["axes"])
        return entries(axes, fact["depends_on_mask"], case, shape)

    # ---- what the manifest says ----

    def fact(self, quantity: Quantity, ours: Pass, words: dict[str, Any]) -> dict[str, Any]:
        """Return what is the same in every case, but for what is known only after all of them."""
        depends = quantity.name == f"{GIVEN}mask_bias" or any(
            self.facts[source]["depends_on_mask"]
            for source in quantity.inputs
            if source in self.facts
        )
        by_name, names = ours.trace.by_name, ours.trace.names()
        aliases = [
            alias for alias in quantity.aliases if by_name[alias] is quantity and alias not in names
        ]
        aliases += [field for field in outputs_of(ours, quantity.name) if field not in by_name]
        place = {
            "function": quantity.function,
            "file": f"npbert/{quantity.file}",
            "line": quantity.line,
        }
        return {
            "name": quantity.name,
            "aliases": aliases,
            **words,
            **place,
            "inputs": list(quantity.inputs),
            "depends_on_mask": depends,
        }

    def kind(self, name: str) -> str:
        if name.startswith(GIVEN):
            return "input"
        if outputs_of(self.passes[self.made[0].name], name):
            return "output"
        return "module" if name in self.from_reference else "intermediate"

    def sampled(self, name: str) -> Sampled | None:
        """Return how a tensor is sampled: the same way in every case."""
        shape = self.expected[self.made[0].name][name].shape
        axes = self.facts[name]["axes"] or ["B"] * len(shape)
        # The number of texts and of tokens is another in every case.
        widths = {n: size for n, size in enumerate(shape) if not set("BNT") & set(axes[n])}
        if self.sample_step is None or name.startswith(GIVEN) or not widths:
            return None
        longest = max(widths, key=lambda axis: widths[axis])
        if widths[longest] < 2 * self.sample_step:
            return None
        return Sampled(longest - len(shape), self.sample_step)

    def tolerance(self, case: str, name: str, dtype: str) -> Tolerance | None:
        if name.startswith(GIVEN):
            array = self.expected[case][name]
            return exact(array, dtype, not self.cases[case].real.all())
        return self.measured.tolerance(case, name, dtype)

    def tensor(self, name: str) -> dict[str, Any]:
        fact, sampled = self.facts[name], self.sampled(name)
        parts = {
            case: {
                "shape": list(expected[name].shape),
                "tolerance": {d: without_none(self.tolerance(case, name, d)) for d in DTYPES},
            }
            for case, expected in self.expected.items()
        }
        return {
            "name": name,
            "aliases": fact["aliases"],
            "kind": self.kind(name),
            "from_reference": name in self.from_reference,
            **{key: fact[key] for key in fact if key not in ("name", "aliases")},
            **({} if sampled is None else {"sampled": dataclasses.asdict(sampled)}),
            "cases": parts,
        }

    def manifest(self, name: str, about: str) -> dict[str, Any]:
        """Return the manifest, with the weights in the kit itself."""
        torch, transformers = require()
        model = self.model
        config = model.config.to_dict()
        config["architectures"] = [type(model).__name__]
        return {
            "$schema": SCHEMA,
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": name,
            "about": about,
            "documentation": DOCUMENTATION,
            "versions": {
                "npbert": npbert.__version__,
                "numpy": np.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
            "architecture": type(model).__name__,
            "config": json.loads(json.dumps(config)),  # keys as text, as they will be read
            "weights": WEIGHTS,
            "files": {},  # the digests are known when they are written
            "parameters": described(model, dict.fromkeys(model.state_dict(), "F32")),
            "axes": legend(model),
            "method": METHOD,
            "cases": [
                {**dataclasses.asdict(case), "real": case.real.tolist()}
                for case in self.cases.values()
            ],
            "tensors": [self.tensor(name) for name in self.order],
            "mistakes": self.mistakes(),
        }

    def files(self, own_weights: bool) -> dict[str, Arrays]:
        """Return the arrays of every file of the kit."""
        files = {
            INPUTS: {f"{c.name}/{n}": array for c in self.made for n, array in c.arrays.items()},
            EXPECTED: self.kept(self.expected, np.float64),
            EXPECTED_FLOAT32: self.kept(self.single, np.float32),
        }
        if own_weights:
            tensors, tied = self.model.state_dict(), self.model.tied(self.model.config)
            files[WEIGHTS] = {n: array for n, array in tensors.items() if n not in tied}
        return files

    def kept(self, values: dict[str, Arrays], dtype: Any) -> Arrays:
        return {
            f"{case}/{name}": sample(arrays[name], self.sampled(name)).astype(dtype)
            for case, arrays in values.items()
            for name in self.order
        }

    def mistakes(self) -> list[dict[str, Any]]:
        """Return for each classic mistake the first tensor that leaves its tolerance."""
        found = []
        for mistake in applicable(self.model):
            first = {}
            for case in self.made:
                with planted(mistake, self.model) as model:
                    trace = run_npbert(model, case.arrays).trace
                # A mistake's line may give an array another first name.
                wrong = {name: quantity.value for name, quantity in trace.by_name.items()}
                first[case.name] = self.first_outside(case.name, wrong)
            found.append({"name": mistake.name, "about": mistake.about, "first_divergence": first})
        return found

    def first_outside(self, case: str, run: Arrays) -> str | None:
        """Return the first tensor of a float32 run that leaves its tolerance, or None."""
        for name in self.order:
            expected, tolerance = self.expected[case][name], self.tolerance(case, name, "float32")
            names = (name, *self.facts[name]["aliases"])
            value = next((run[each] for each in names if each in run), None)
            if value is None or tolerance is None:
                continue
            if value.shape != expected.shape:
                return name
            kind = self.entries(name, self.cases[case], expected.shape)
            if not difference(value, expected, kind).is_within(tolerance):
                return name
        return None


def outputs_of(ours: Pass, name: str) -> list[str]:
    """Return the fields of the model's output that a quantity is."""
    return [f for f, quantity in ours.returned.items() if quantity == name and "." not in f]


def without_none(tolerance: Tolerance | None) -> dict[str, float] | None:
    if tolerance is None:
        return None
    return {name: v for name, v in dataclasses.asdict(tolerance).items() if v is not None}


def words_of(trace: Trace, model: PreTrainedModel) -> dict[str, dict[str, Any]]:
    """Return the axes, equation, code and section of every quantity; None where there is none."""
    return {
        quantity.name: {
            "axes": None if said.axes is None else list(said.axes),
            "equation": said.equation or None,
            "code": said.code or None,
            "section": said.section or None,
        }
        for quantity, said in zip(trace, annotate(trace, model))
    }
