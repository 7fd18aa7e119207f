"""The commands of `npbert`: what they take, what they run, what they print.

    options.py  the parser of each command: its options, its help, an example
    tasks.py    from texts, given as arguments or by --input, to the results of a task
    lines.py    --input: lines in, JSON lines out
    tables.py   results as aligned lines for a terminal
    files.py    tokenize, convert, inspect and models
    golden.py   golden make and golden check: kits, and ports held against them
    trace.py    a page that shows a forward pass

Nothing is imported before a command needs it: the parser alone is there at once.
"""
