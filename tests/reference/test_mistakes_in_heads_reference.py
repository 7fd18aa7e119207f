"""Mistakes in heads and losses, planted one by one, as in test_mistakes_reference.py."""

import numpy as np
import pytest
from reference_models import (
    LABELLED,
    TOLERANCES,
    for_head,
    largest_error,
    mask_with_zeros,
    random_ids,
    reference,
)

from npbert import bert, convbert, ops
from npbert.bert import linear, pool
from npbert.model import heads, inputs

pytestmark = pytest.mark.reference

FAR = 50 * TOLERANCES["float32"]  # relative to the largest value of an output
B, T = 4, 13


def error_of(family, head, labels, **options):
    """Run npbert as it is now, mistake and all; return its largest error, that of the loss too."""
    truth = reference(family, head, **options)
    of_these_options = [x for x in LABELLED[head] if x.options == options] or LABELLED[head]
    example = dict(
        input_ids=random_ids(truth.config, B, T),
        attention_mask=mask_with_zeros(B, T, (1, slice(8, None)), (2, slice(4))),
    )
    example = for_head(head, example | of_these_options[0].labels[labels](truth.config, B, T))
    return largest_error(truth.load("float64")(**example), truth("float64", **example), "float64")


MISTAKES = {}


def mistake(family, head, labels, **options):
    """Register a mistake, and the labels and options that it shows with."""

    def register(plant):
        MISTAKES[f"{plant.__name__}-{family}{head}"] = plant, (family, head, labels), options
        return plant

    return register


def replace(monkeypatch, module, name, function):
    """Put a function in the place of another, and hand the other one to it as first argument."""
    right = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: function(right, *args))


# ---- losses --------------------------------------------------------------------------------


@mistake("Bert", "ForTokenClassification", "labels")
@mistake("Bert", "ForNextSentencePrediction", "labels, some do not count")
@mistake("Bert", "ForSequenceClassification", "labels, some do not count")
@mistake("Bert", "ForMultipleChoice", "labels, some do not count")
def labels_that_do_not_count_do(monkeypatch):
    replace(
        monkeypatch, heads, "cross_entropy", lambda right, x, labels: right(x, labels.clip(min=0))
    )


@mistake("Bert", "ForTokenClassification", "labels")
@mistake("Bert", "ForMaskedLM", "labels")
def mean_over_all_labels(monkeypatch):
    replace(
        monkeypatch,
        heads,
        "cross_entropy",
        lambda right, x, labels: right(x, labels) * (labels != -100).mean(),
    )


@mistake("Bert", "ForPreTraining", "both labels")
def mean_of_the_two_losses(monkeypatch):
    replace(monkeypatch, heads, "cross_entropy", lambda right, x, labels: right(x, labels) / 2)


@mistake("Bert", "ForQuestionAnswering", "positions")
def sum_of_the_two_losses(monkeypatch):
    replace(monkeypatch, heads, "cross_entropy", lambda right, x, labels: right(x, labels) * 2)


@mistake("Bert", "ForQuestionAnswering", "positions beyond the text")
def positions_beyond_the_text_are_its_end(monkeypatch):
    replace(
        monkeypatch,
        heads,
        "check_positions",
        lambda right, name, positions, B, T: right(name, np.minimum(positions, T - 1), B, T),
    )


@mistake("Bert", "ForQuestionAnswering", "positions below 0")
def positions_below_0_do_not_count(monkeypatch):
    replace(
        monkeypatch,
        heads,
        "check_positions",
        lambda right, name, positions, B, T: right(
            name, np.where(positions < 0, T, positions), B, T
        ),
    )


@mistake("Bert", "ForSequenceClassification", "numbers", num_labels=3, problem_type="regression")
def sum_over_the_numbers_of_a_text(monkeypatch):
    replace(monkeypatch, heads, "mean_squared_error", lambda right, x, labels: 3 * right(x, labels))


@mistake("Bert", "ForSequenceClassification", "shares")
def softmax_for_shares(monkeypatch):
    monkeypatch.setattr(
        heads,
        "binary_cross_entropy",
        lambda x, labels: -(ops.log_softmax(x) * labels).sum(axis=-1).mean(),
    )


@mistake("Bert", "ForSequenceClassification", "shares")
def shares_rounded(monkeypatch):
    replace(
        monkeypatch,
        heads,
        "binary_cross_entropy",
        lambda right, x, labels: right(x, labels.round()),
    )


@mistake("Bert", "ForSequenceClassification", "numbers", num_labels=1)
def one_label_as_yes_or_no(monkeypatch):
    monkeypatch.setattr(heads, "mean_squared_error", ops.binary_cross_entropy)


# ---- heads ---------------------------------------------------------------------------------


@mistake("Bert", "ForQuestionAnswering", "positions")
@mistake("ConvBert", "ForQuestionAnswering", "positions")
def start_and_end_swapped(monkeypatch):
    for family in (bert, convbert):
        cls = getattr(family, f"{'Conv' * (family is convbert)}BertForQuestionAnswering")
        right = cls.head
        monkeypatch.setattr(cls, "head", lambda self, x, right=right: right(self, x)[..., ::-1])


@mistake("Bert", "ForMultipleChoice", "labels")
def choices_before_questions(monkeypatch):
    def flatten(right, **entries):
        swapped = {
            name: (None if array is None else np.swapaxes(array, 0, 1), axes)
            for name, (array, axes) in entries.items()
        }
        questions, flat = right(**swapped)
        return len(flat["input_ids"]) // questions, flat

    original = inputs.flatten_choices
    monkeypatch.setattr(heads, "flatten_choices", lambda **entries: flatten(original, **entries))


@mistake("Bert", "ForSequenceClassification", "labels")
@mistake("Bert", "ForNextSentencePrediction", "labels")
@mistake("Bert", "ForMultipleChoice", "labels")
@mistake("Bert", "ForPreTraining", "both labels")
def no_pooler(monkeypatch):
    monkeypatch.setattr(bert, "pool", lambda x, p: x[:, 0])


@mistake("Bert", "ForSequenceClassification", "labels")
def pooler_without_tanh(monkeypatch):
    monkeypatch.setattr(bert, "pool", lambda x, p: linear(x[:, 0], p.dense))


@mistake("Bert", "ForSequenceClassification", "labels")
def pooler_of_the_last_token(monkeypatch):
    monkeypatch.setattr(bert, "pool", lambda x, p: pool(x[:, ::-1], p))


@mistake("ConvBert", "ForSequenceClassification", "labels")
def classifier_with_the_tanh_of_a_pooler(monkeypatch):
    def head(x, p, config):
        return linear(np.tanh(linear(x[:, 0], p.dense)), p.out_proj)

    monkeypatch.setattr(convbert, "classification_head", head)


@mistake("ConvBert", "ForSequenceClassification", "labels")
def classifier_of_the_mean(monkeypatch):
    replace(
        monkeypatch,
        convbert,
        "classification_head",
        lambda right, x, p, config: right(x.mean(axis=1, keepdims=True), p, config),
    )


@mistake("ConvBert", "ForMultipleChoice", "labels")
def choices_summed_up_by_the_first_token(monkeypatch):
    monkeypatch.setattr(convbert, "sequence_summary", lambda x, p, config: x[:, 0])


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_caught(name, monkeypatch):
    plant, case, options = MISTAKES[name]
    assert error_of(*case, **options) < TOLERANCES["float64"]
    plant(monkeypatch)
    assert error_of(*case, **options) > FAR
