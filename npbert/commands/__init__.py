"""The commands of `npbert`: what they take, what they run, what they print.

    parsing.py  what the parsers of all commands share
    options.py  the parser of each command: its options, its help, an example
    tasks.py    from texts, given as arguments or by --input, to the results of a task
    choosing.py which backend that takes, by how much there is to do
    tables.py   results as aligned lines for a terminal
    answering.py   writing.py
                --input: rows are read, answered some at a time, and written whole (npbert/corpus/)
    files.py    tokenize, convert, inspect, models and trace
    inspection.py  conversion.py    what the commands of these names do
    golden.py   golden make and golden check
    exercises.py               the exercises of the book, and a file of answers

Nothing is imported before a command needs it: the parser alone is there at once.
"""
