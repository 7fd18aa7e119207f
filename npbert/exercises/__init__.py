"""The exercises of the book, each a function to fill in, and what judges an answer.

    exercise.py   what an exercise is: a solution, random inputs, likely mistakes, a hint
    comparing.py  the first difference between two results
    judging.py    one answer: right, wrong and why, or not done yet
    answers.py    a file of answers, each with a time limit
    chapters/     the exercises themselves, one file a chapter
    catalogue.py  all of them by name and chapter
    sections.py   the section of a chapter that sets its exercises

In a notebook: `exercises.check("softmax", softmax)`. Nothing but NumPy is needed.
"""

from npbert.exercises.catalogue import CHAPTERS, EXERCISES, find
from npbert.exercises.judging import Verdict, check, judge

__all__ = ["CHAPTERS", "EXERCISES", "Verdict", "check", "find", "judge"]
