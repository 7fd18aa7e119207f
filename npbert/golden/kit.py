"""A golden kit: a directory with a model, inputs, and the expected value of every quantity.

    kit = Kit("weights/golden/convbert-model")
    kit.tensor("last_hidden_state").equation, kit.expected("short")["encoder.layer.0"]
    mine = {case: my_port(**kit.inputs(case)) for case in kit.cases}
    print(kit.check(mine).render())

The directory holds manifest.json, manifest.schema.json, which describes it, weights.safetensors,
inputs.safetensors, expected.safetensors in float64 and expected_float32.safetensors. What an array
is called in the last three is "<case>/<name>".
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.auto import class_named
from npbert.checkpoints import safetensors
from npbert.checkpoints.directory import modern_names, read_json
from npbert.checkpoints.files import naming, short
from npbert.checkpoints.saving import contents, reading, saving
from npbert.checkpoints.writing import atomic_write, output_directory
from npbert.golden.comparing import sample
from npbert.golden.manifest import FORMAT, Case, Manifest, Tensor, read_manifest
from npbert.model import params
from npbert.model.base import PreTrainedModel
from npbert.model.config import PreTrainedConfig

if TYPE_CHECKING:
    from npbert.golden import Report

SCHEMA = "manifest.schema.json"
MANIFEST, WEIGHTS, INPUTS = "manifest.json", "weights.safetensors", "inputs.safetensors"
EXPECTED, EXPECTED_FLOAT32 = "expected.safetensors", "expected_float32.safetensors"
FILES = (MANIFEST, WEIGHTS, INPUTS, EXPECTED, EXPECTED_FLOAT32)


class Kit:
    """A golden kit that was read and is complete; its arrays are read when they are needed.

    directory  where it lies        manifest  what manifest.json says (manifest.py)
    cases      by name              tensors   every quantity, in computing order

    Raises FileNotFoundError for a directory or a file that is missing, ValueError for a damaged
    manifest or file, and for arrays that are missing or of another shape than it says.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        self.directory = Path(directory)
        self.files: dict[str, dict[str, np.ndarray]] = {}  # those that were read
        with reading(self.directory):
            self._read()

    def _read(self) -> None:
        """Read the manifest, and check that every file that it speaks of is there and fits."""
        directory = self.directory
        values = read_json(directory, MANIFEST)
        with naming(directory / MANIFEST):
            self.describe(read_manifest(values))
            self.weights_path()
            self.config()
        for name in (INPUTS, EXPECTED, EXPECTED_FLOAT32):
            if not (directory / name).is_file():
                raise FileNotFoundError(f"{directory}: no {name}, the kit is not complete")
        if not self.weights_path().is_file():
            raise FileNotFoundError(f"{directory}: the weights {self.weights_path()} are missing")
        self.check_inputs()
        self.check_expected(EXPECTED, "F64")
        self.check_expected(EXPECTED_FLOAT32, "F32")
        self.check_files()

    def describe(self, manifest: Manifest) -> None:
        """Take over what a manifest says."""
        self.manifest = manifest
        self.name = manifest.name
        self.cases: dict[str, Case] = manifest.cases
        self.tensors: tuple[Tensor, ...] = manifest.tensors
        self.by_name = {
            n: tensor for tensor in self.tensors for n in (tensor.name, *tensor.aliases)
        }

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> Kit:
        """Return the kit of a directory: the same as `Kit(directory)`."""
        return cls(directory)

    def __repr__(self) -> str:
        return f"Kit({self.name}: {len(self.tensors)} tensors, {len(self.cases)} cases)"

    # ---- what is in it ----

    def tensor(self, name: str) -> Tensor:
        """Return the tensor of that name or alias; raise KeyError that suggests others."""
        if name not in self.by_name:
            last = name.rpartition(".")[2]
            similar = [known for known in self.by_name if known.rpartition(".")[2] == last][:5]
            hint = f"; there are {', '.join(similar)}" if similar else ""
            raise KeyError(f"the kit {self.name} has no tensor {name!r}{hint}")
        return self.by_name[name]

    def case(self, name: str) -> Case:
        """Return the case of that name; raise ValueError that lists those there are."""
        if name not in self.cases:
            known = ", ".join(self.cases)
            raise ValueError(f"the kit {self.name} has no case {name!r}, it has {known}")
        return self.cases[name]

    def inputs(self, case: str) -> dict[str, np.ndarray]:
        """Return what the model is called with in one case, by argument."""
        arguments = self.case(case).inputs
        return {name: self.arrays(INPUTS)[f"{case}/{name}"] for name in arguments}

    def expected(self, case: str) -> dict[str, np.ndarray]:
        """Return the float64 values of one case by name of the tensor; sampled where it says so."""
        self.case(case)
        return {t.name: self.arrays(EXPECTED)[f"{case}/{t.name}"] for t in self.tensors}

    def expected_float32(self, case: str) -> dict[str, np.ndarray]:
        """Return the values of one float32 run, as `expected` returns those in float64."""
        self.case(case)
        return {t.name: self.arrays(EXPECTED_FLOAT32)[f"{case}/{t.name}"] for t in self.tensors}

    def check(
        self,
        given: Mapping[str, Any] | str | os.PathLike[str],
        case: str | None = None,
        strict: bool = False,
        require: Sequence[str] = (),
        precision: str | None = None,
    ) -> Report:
        """Check a port's arrays: `check_kit` of this kit (checking.py), which says what each means.

        given: {"<case>/<name>": array}, {case: {name: array}}, or the path of a port's file.
        """
        from npbert import golden  # whose check needs this file

        return golden.check_kit(self, given, case, strict, require, precision)

    def model(self, dtype: Any = np.float64) -> PreTrainedModel:
        """Build npbert's model of the kit, from its config and its weights.

        Raises ValueError for an invalid config, and for weights that do not fit it.
        """
        chosen = model_class(self.manifest.architecture)
        path = self.weights_path()
        with naming(path):
            tensors = modern_names(safetensors.read(path))
        with naming(self.directory / MANIFEST):
            config = self.config()
            if config.num_hidden_layers > len(tensors):  # before the shapes of them all are made
                layers = short.repr(config.num_hidden_layers)
                held = f"the {len(tensors)} tensors of {self.manifest.weights}"
                raise ValueError(f"config.num_hidden_layers is {layers}, too many for {held}")
            return model_with(chosen, config, tensors, dtype, self.manifest.weights)

    def config(self) -> PreTrainedConfig:
        """Return the configuration of the model; raise ValueError where it is invalid."""
        chosen = model_class(self.manifest.architecture)
        family = self.manifest.config.get("model_type")
        if family != chosen.config_class.model_type:
            expected = chosen.config_class.model_type
            raise ValueError(f"config.model_type is {short.repr(family)}, expected {expected!r}")
        with naming("config"):
            return chosen.config_class.from_dict(self.manifest.config)

    # ---- files ----

    def weights_path(self) -> Path:
        """Return where the weights are; raise ValueError unless the manifest's path is relative."""
        path = self.manifest.weights
        if not path or PurePosixPath(path).is_absolute() or PureWindowsPath(path).anchor:
            raise ValueError(f"weights is {short.repr(path)}, expected a path relative to the kit")
        parts = PurePosixPath(path).parts
        if "\0" in path or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
            raise ValueError(f"weights is {short.repr(path)}, expected a path of a file")
        return self.directory / PurePosixPath(path)

    def arrays(self, file: str) -> dict[str, np.ndarray]:
        """Return what one of the files holds; it is mapped when it is first asked for."""
        if file not in self.files:
            self.files[file] = safetensors.read(self.directory / file)
        return self.files[file]

    def check_files(self) -> None:
        """Raise ValueError unless every file of arrays is the one that the kit was made with."""
        wanted = (INPUTS, EXPECTED, EXPECTED_FLOAT32, self.manifest.weights)
        for name in wanted:
            said = self.manifest.files.get(name, "missing")
            found = digest(self.directory / PurePosixPath(name))
            if found != said:
                raise ValueError(
                    f"{self.directory / PurePosixPath(name)}: its SHA-256 is {found}, but files of "
                    f"{MANIFEST} has {short.repr(said)}: the file or the manifest is damaged, or "
                    "they do not belong together"
                )

    def check_inputs(self) -> None:
        """Raise ValueError unless inputs.safetensors holds what the cases are called with."""
        path = self.directory / INPUTS
        found = safetensors.header(path).tensors
        for case in self.cases.values():
            for argument in case.inputs:
                name = f"{case.name}/{argument}"
                if name not in found:
                    raise ValueError(f"{path}: {short.repr(name)} is missing, {MANIFEST} names it")
                if found[name].dtype != "I64":
                    raise ValueError(f"{path}: {name} is {found[name].dtype}, expected I64")
            shape, (B, T) = found[f"{case.name}/input_ids"].shape, case.real.shape
            if shape[-1:] != (T,) or math.prod(shape) != B * T:
                given = f"{case.name}/input_ids has shape {list(shape)}"
                raise ValueError(f"{path}: {given}, but the manifest speaks of {[B, T]} positions")

    def check_expected(self, file: str, dtype: str) -> None:
        """Raise ValueError unless a file of expected values has every tensor of the manifest."""
        path = self.directory / file
        found = safetensors.header(path).tensors
        for tensor in self.tensors:
            for case, part in tensor.cases.items():
                name = f"{case}/{tensor.name}"
                if name not in found:
                    raise ValueError(f"{path}: {short.repr(name)} is missing, {MANIFEST} names it")
                shape = sample(np.broadcast_to(0, part.shape), tensor.sampled).shape
                if (found[name].dtype, found[name].shape) != (dtype, shape):
                    given = f"{found[name].dtype} {list(found[name].shape)}"
                    wanted = f"expected {dtype} {short.repr(list(shape))} as {MANIFEST} says"
                    raise ValueError(f"{path}: {name} is {given}, {wanted}")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def model_class(architecture: str) -> type[PreTrainedModel]:
    """Return npbert's class of that name; raise ValueError where there is none."""
    found = class_named(architecture)
    if found is None:
        raise ValueError(f"architecture is {short.repr(architecture)}, which npbert does not have")
    return found


def model_with(
    chosen: Any, config: Any, tensors: dict[str, np.ndarray], dtype: Any, source: str
) -> PreTrainedModel:
    """Return a model with these parameters; tied ones need not be there."""
    shapes = chosen.parameter_shapes(config)
    tensors = params.fit_prefix(tensors, shapes, chosen.base_model_prefix)
    params.match(tensors, shapes, (), source)
    model = chosen(config, dtype=dtype)
    for name, array in model.state_dict().items():
        if name in shapes:  # not one that is tied to another
            array[...] = tensors[name]
    return model


# ---- writing: there is never half of a kit -----------------------------------------------------


def check_target(
    directory: str | os.PathLike[str],
    manifest: str = MANIFEST,
    format: str = FORMAT,
    what: str = "a golden kit",
) -> Path:
    """Return a directory that a kit can be written to: that of an older kit, or one without files.

    Raises ValueError for one that holds something else; format is what an older manifest says.
    """
    directory = Path(output_directory(directory))
    if not directory.exists() or not contents(directory):
        return directory
    found = None
    if (directory / manifest).is_file():
        found = read_json(directory, manifest).get("format")
    if found != format:
        raise ValueError(f"{directory} holds something else than {what}: nothing was written")
    return directory


def write_kit(
    directory: str | os.PathLike[str],
    values: Mapping[str, Any],
    files: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Write the manifest and the files of arrays; those of an older kit are replaced together.

    The same contents give the same bytes. Whatever fails leaves the older kit as it was.
    """
    check_target(directory)
    with saving(directory, obsolete=FILES) as new:
        for name, arrays in files.items():
            safetensors.write(new / name, arrays)
        digests = {name: digest(new / name) for name in files}
        if (weights := values.get("weights", WEIGHTS)) != WEIGHTS:  # those of a checkpoint
            # normalised, for the way leads through a directory that need not be there yet
            digests[weights] = digest(
                Path(os.path.normpath(Path(directory) / PurePosixPath(weights)))
            )
        values = {**values, "files": digests}
        shutil.copyfile(Path(__file__).with_name(SCHEMA), new / SCHEMA)
        with atomic_write(new / MANIFEST) as file:
            file.write("".join(lines(values)).encode())


def lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the manifest as JSON, with line breaks where a reader of the file wants them."""
    yield "{\n"
    for number, (name, value) in enumerate(values.items()):
        end = "\n" if number == len(values) - 1 else ",\n"
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{text(name)}: [\n"
            yield ",\n".join(entry(part) for part in value)
            yield f"\n]{end}"
        else:
            yield f"{text(name)}: {text(value)}{end}"
    yield "}\n"


def entry(part: Mapping[str, Any]) -> str:
    """Return one entry of a list: on a line, but for the cases of a tensor, each on its own."""
    cases = part.get("cases")
    if not isinstance(cases, dict):
        return text(part)
    head = text({name: value for name, value in part.items() if name != "cases"})
    below = ",\n".join(f"  {text(name)}:{text(case)}" for name, case in cases.items())
    return f'{head[:-1]},"cases":{{\n{below}}}}}'


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
