"""Cuts the corpus into sentences and words; what the tasks have in common before they part."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from corpus import read_documents

SPLIT_SEEDS = {"train": 0, "validation": 1, "test": 2}

# A full stop behind these ends no sentence.
ABBREVIATIONS = set(
    "mr mrs ms dr st prof rev gen col capt lt sgt gov sen rep hon jr sr vs etc fig no vol ed "
    "dept inc ltd co corp mt ft messrs mme mlle u.s u.k u.n d.c e.g i.e a.m p.m".split()
)
END = re.compile(r"[.?!][”’\"')]*\s+(?=[“‘\"'(]*[A-Z0-9])")

# What a sentence is made of, as opposed to what it is about.
FUNCTION_WORDS = frozenset(
    """a about above after again against all almost along also although always am among an and
    another any are around as at away back be because been before behind being below between both
    but by can cannot could did do does doing done down during each either else enough even ever
    every few for from further get gets got had has have having he her here hers herself him
    himself his how however i if in into is it its itself just least less let like made make makes
    many may me might mine more most much must my myself near neither never no nor not nothing now
    of off often on once one only onto or other others our ours ourselves out over own perhaps
    quite rather same shall she should since so some something still such than that the their
    theirs them themselves then there therefore these they this those though through thus to
    together too toward towards under until up upon us very was we well were what when where
    whether which while who whom whose why will with within without would yes yet you your yours
    yourself said say says""".split()
)


def split_sentences(paragraph: str) -> list[str]:
    """Cut a paragraph behind its full stops, question and exclamation marks.

    Not behind an abbreviation or an initial ("Mr. Smith", "J. Smith"), and only where a capital, a
    digit or an opening quote comes next.
    """
    sentences, start = [], 0
    for match in END.finditer(paragraph):
        before = paragraph[start : match.start()].rsplit(None, 1)
        last = before[-1].lstrip("“‘\"'(").lower() if before else ""
        full_stop = paragraph[match.start()] == "."
        if full_stop and (last in ABBREVIATIONS or (len(last) == 1 and last.isalpha())):
            continue
        sentences.append(paragraph[start : match.end()].strip())
        start = match.end()
    rest = paragraph[start:].strip()
    return [*sentences, rest] if rest else sentences


def documents_of_sentences(split: str, seed: int) -> Iterator[list[list[str]]]:
    """Yield the documents of a split as paragraphs of sentences, in an order drawn from the seed.

    Long and short texts are so mixed that a task which needs fewer examples than there are may
    simply stop.
    """
    documents = read_documents(split)
    for i in np.random.default_rng(seed).permutation(len(documents)):
        yield [split_sentences(paragraph) for paragraph in documents[i]]


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence in lower case, without marks; "don't" is one word."""
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", sentence.lower())
