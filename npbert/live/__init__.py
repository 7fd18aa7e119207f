"""Live pages: passes in the reader's browser, through a source that can be changed.

editing.py    runs a pass through the reading files as a reader has edited them
comparing.py  what an edit changes, quantity by quantity
naming.py     which classic mistake an edit is
session.py    what a page asks for, as functions from JSON to JSON
notebook.py   runs the cells of a notebook, for the chapters of the book
engine.py     the browser's Python: version, address, hashes
folder.py     writes a folder that a server of static files can serve
page/         what such a page adds to a trace page, and its worker
"""
