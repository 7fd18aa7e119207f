"""The known mistakes planted in npbert while a chapter of the book runs: which does it notice?"""

import functools
import inspect
import warnings
from contextlib import contextmanager
from pathlib import Path

import chapters
import numpy as np

import npbert
from npbert.golden import Kit
from npbert.golden.mistakes.catalogue import MISTAKES, applicable, planted
from npbert.model import params
from npbert.model.base import PreTrainedModel
from npbert.tasks import loading

KITS = Path(__file__).parents[2] / "weights" / "golden"


def variants(family):
    """Yield a small model for every head of a family, and for options in which a step differs."""
    for directory in sorted(KITS.glob(f"{family}-*")):
        yield Kit.read(directory).model()
    if family == "convbert":  # a number of heads of which half is not all of them together
        config = npbert.ConvBertConfig(
            vocab_size=8, hidden_size=32, num_attention_heads=8, num_hidden_layers=1
        )
        yield npbert.ConvBertModel(config)
    if family == "mobilebert":  # a layer as wide inside as between layers
        config = npbert.MobileBertConfig(
            vocab_size=8, hidden_size=16, intra_bottleneck_size=16, num_hidden_layers=1
        )
        yield npbert.MobileBertModel(config)
    if family == "squeezebert":  # an epsilon in the config that is not that of the layers
        config = npbert.SqueezeBertConfig(
            vocab_size=8, hidden_size=16, embedding_size=16, num_hidden_layers=1,
            num_attention_heads=2, layer_norm_eps=0.1,
        )  # fmt: skip
        yield npbert.SqueezeBertModel(config)


@functools.cache
def mistakes(family):
    """Return {name: (mistake, a model that can make it)} for everything a family can get wrong."""
    found = {}
    for model in variants(family):
        for mistake in applicable(model):
            found.setdefault(mistake.name, (mistake, model))
    return {each.name: found[each.name] for each in MISTAKES if each.name in found}


@contextmanager
def mistaken(family, name):
    """Let npbert make a mistake, in whatever model of the family is loaded or built meanwhile."""
    mistake, model = mistakes(family)[name]
    fill = PreTrainedModel._fill

    def mistaken_fill(self, *arguments):
        fill(self, *arguments)
        if mistake.parameters and type(self).__module__ == f"npbert.{family}":
            self.params = params.tree(mistake.parameters(self.state_dict()))

    caches = [each for each in vars(loading).values() if hasattr(each, "cache_clear")]
    PreTrainedModel._fill = mistaken_fill
    try:
        for each in caches:  # what was loaded before is right
            each.cache_clear()
        with planted(mistake, model):
            yield
    finally:
        PreTrainedModel._fill = fill
        for each in caches:
            each.cache_clear()


def noticed(path, family, name):
    """Run a chapter with a mistake planted; return the line that fails, None if none does.

    It is an assertion, or a product of shapes that do not fit. The pictures are not drawn: they
    assert nothing, and take the most time.
    """
    with mistaken(family, name), undrawn(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            chapters.run(path)
        except (AssertionError, ValueError) as error:
            return inspect.getinnerframes(error.__traceback__)[-1].code_context
    return None


@contextmanager
def undrawn():
    """Let the drawings of the book do nothing."""
    pictures = chapters.drawings()
    right = {name: f for name, f in vars(pictures).items() if inspect.isfunction(f)}
    try:
        for name in right:
            setattr(pictures, name, lambda *arguments, **options: None)
        yield
    finally:
        vars(pictures).update(right)
