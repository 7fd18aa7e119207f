"""The book as a site: what `python tutorials/build.py OUT` is made of.

chapters.py   runs chapters as notebooks, each again only when something that it depends on changed
passes.py     forward passes with the value that every line had
annotated.py  pages of the reading files: source, and beside each line its note and its value
pages.py      all other pages: documents, plain sources, listings, traces, the reference
links.py      links between files of the repository as links between pages
sphinx.py     what Sphinx is told: formulas as MathML, docstrings, names that lead to their lines
conf.py       its configuration
"""
