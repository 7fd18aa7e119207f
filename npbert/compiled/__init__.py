"""The compiled twins of the operations, and the switch between a definition and its twin."""
