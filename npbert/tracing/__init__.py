"""A forward pass with the value of every line: recording, naming, describing, showing it."""
