"""The exercises themselves: one file for each chapter of the book, solutions and mistakes."""
