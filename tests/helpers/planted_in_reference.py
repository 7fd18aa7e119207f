"""Porting mistakes planted in the reference's own code, independently of how npbert plants them.

Most are edits of the text of a forward method of transformers; the others change a module. A port
is then what the modules of that model put out, in float32, under the names of npbert's quantities.
"""

import copy
import inspect
import textwrap
import types

import numpy as np
from kits_in_memory import OPTIONS
from reference_models import outputs_of_modules, reference_class, to_numpy, to_torch, torch

import npbert
from npbert.golden.reference import counterpart

functional = torch.nn.functional

# ---- the reference with npbert's parameters, and what it puts out ------------------------------


def reference_of(model, **options):
    """Return a float32 model of the reference with the parameters of npbert's model."""
    name = type(model).__name__
    family = next(f for f in sorted(OPTIONS, key=len, reverse=True) if name.startswith(f))
    config = reference_class(family, "Config")(**{**model.config.to_dict(), **options})
    config._attn_implementation = "eager"
    theirs = reference_class(family, name.removeprefix(family))(config).eval()
    tensors = {n: to_torch(a, "float32") for n, a in model.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(tensors, strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    return theirs


def port_of(theirs, kit):
    """Return {"case/name": array}: what the modules of the reference put out, and its results."""
    given = {}
    for case in kit.cases:
        inputs = kit.inputs(case)
        recorded = npbert.trace(kit.model(), **inputs)
        outputs = outputs_of_modules(theirs, inputs)
        with torch.no_grad():
            results = theirs(**{n: to_torch(a, "float32") for n, a in inputs.items()})
        outputs |= {n: to_numpy(v) for n, v in results.items() if isinstance(v, torch.Tensor)}
        # A module that has the very name of a quantity goes before those that are called otherwise.
        for path in sorted(outputs, key=lambda path: path not in recorded):
            name = counterpart(path, recorded)
            if name is not None:
                value = in_order(outputs[path], path)
                given.setdefault(f"{case}/{recorded[name].name}", np.ascontiguousarray(value))
    return given


def in_order(value, path):
    """Turn the axes of what has channels before tokens, or heads before tokens."""
    if path.endswith("matmul_qkv"):
        return value.swapaxes(1, 2)
    of_squeezebert = "encoder.layers." in path and value.ndim == 3
    return value.swapaxes(1, 2) if of_squeezebert or "key_conv_attn_layer" in path else value


# ---- how a mistake is planted ------------------------------------------------------------------


def edited(function, edits, **namespace):
    """Return a function of the reference with its text edited; every place must be there."""
    function = inspect.unwrap(function)  # a decorator's text and names are the function's own
    text = textwrap.dedent(inspect.getsource(function))
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    scope = {**function.__globals__, **namespace}
    exec(compile(text, "planted", "exec"), scope)
    return scope[function.__name__]


def rewrite(modules, *edits, method="forward", **namespace):
    """Give some modules of one class an edited method."""
    modules = list(modules)
    assert modules
    function = edited(getattr(type(modules[0]), method), edits, **namespace)
    for module in modules:
        setattr(module, method, types.MethodType(function, module))


def of_class(model, name):
    """Return the modules of a class, whatever family's name is before its own."""
    names = {f"{family}{name}" for family in ("", "Bert", "ConvBert", "MobileBert", "SqueezeBert")}
    return [module for module in model.modules() if type(module).__name__ in names]


def layers(model):
    return of_class(model, "Module") or of_class(model, "Layer")


def text(ending, *edits):
    """Return a plant that edits the forward methods of a class."""
    return lambda model: rewrite(of_class(model, ending), *edits)


def eager(*edits):
    """Return a plant that edits the attention function of BERT and MobileBERT."""

    def plant(model):
        plant_eager(of_class(model, "SelfAttention"), *edits)

    return plant


def plant_eager(modules, *edits):
    whole = inspect.getmodule(type(modules[0])).eager_attention_forward
    rewrite(modules, eager_attention_forward=edited(whole, edits))


def inner_modules(model, name):
    return [getattr(module, name) for module in model.modules() if hasattr(module, name)]


def put(name, value):
    """Return a plant that replaces every attribute of that name."""

    def plant(model):
        for module in list(model.modules()):
            if hasattr(module, name):
                setattr(module, name, copy.deepcopy(value))  # one for each, with a hook of its own

    return plant


def epsilon(model, value=1e-5):
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = value


def unbiased(model):
    def forward(self, x):
        turned = type(self).__name__.startswith("Squeeze")
        x = x.transpose(1, 2) if turned else x
        variance = x.var(-1, keepdim=True)  # torch's default is the unbiased one
        centred = x - x.mean(-1, keepdim=True)
        x = centred / (variance + self.eps).sqrt() * self.weight + self.bias
        return x.transpose(1, 2) if turned else x

    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.forward = types.MethodType(forward, module)


def swap_query_and_key(model):
    for module in list(model.modules()):
        if hasattr(module, "query"):
            module.query, module.key = module.key, module.query


def transpose_squares(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and len(set(module.weight.shape)) == 1:
            module.weight.data = module.weight.data.T.contiguous()


def residual_of_input(model):
    for layer in layers(model):
        kept = {}

        def keep(module, arguments, kept=kept):
            kept["x"] = arguments[0]

        def forward(self, hidden_states, input_tensor, kept=kept):
            return type(self).forward(self, hidden_states, kept["x"])

        layer.register_forward_pre_hook(keep)
        layer.output.forward = types.MethodType(forward, layer.output)


def other_order(name):
    def plant(model):
        module = model.get_submodule(name)
        for parameter in module.parameters():
            parameter.data = parameter.data.flip(0)

    return plant


def flip_taps(model):
    for module in inner_modules(model, "depthwise"):
        module.weight.data = module.weight.data.flip(-1)


def causal_taps(model):
    for module in inner_modules(model, "depthwise"):
        K = module.kernel_size[0]
        module.padding = (0,)
        whole = module.forward
        module.forward = lambda x, whole=whole, K=K: whole(functional.pad(x, (K - 1, 0)))


def transposed_convolutions(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Conv1d):
            O, width, _ = module.weight.shape
            G = module.groups
            weight = module.weight.data.reshape(G, width, O // G).transpose(1, 2)
            module.weight.data = weight.reshape(O, width, 1).contiguous()


def fewer_feed_forwards(model):
    for layer in layers(model):
        layer.ffn = layer.ffn[:-1]
