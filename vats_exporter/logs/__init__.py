"""The log: its formats, and what keeps secrets out of it."""
