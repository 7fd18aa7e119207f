"""Traces of forward passes: the value of every line, recorded, named, described and shown.

source.py       what source files say: statements, and the shapes in comments
quantities.py   quantities and traces, what npbert.trace returns
recording.py    npbert.trace: runs a model and records every quantity
axes.py         the letters of every quantity's axes
equations.py    every quantity in words, with the section of the paper
annotations.py  axes, statement, equation and section of every quantity together
page/           the page that `npbert trace` writes
"""
