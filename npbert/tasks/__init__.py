"""The tasks: one function each, from text to an answer, shaped as the transformers pipelines'.

loading.py   which model does a task, and whether its head is trained
rows.py      texts to rows of ids; rows in batches through the model, and back in order
progress.py  the bar for many texts
windows.py   a text that is longer than the model, in overlapping windows

masks.py     fill_mask               pairs.py     next_sentence, multiple_choice
texts.py     text_classification     features.py  feature_extraction
tokens.py    token_classification    mending.py   restore
answers.py   question_answering
"""

from npbert.tasks.answers import question_answering
from npbert.tasks.features import feature_extraction
from npbert.tasks.masks import fill_mask
from npbert.tasks.mending import restore
from npbert.tasks.pairs import multiple_choice, next_sentence
from npbert.tasks.texts import text_classification
from npbert.tasks.tokens import token_classification

__all__ = [
    "feature_extraction",
    "fill_mask",
    "multiple_choice",
    "next_sentence",
    "question_answering",
    "restore",
    "text_classification",
    "token_classification",
]
