"""The WordPiece tokenizer: stages, vocabulary, added tokens, rows, padding, files."""
