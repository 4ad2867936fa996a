"""Frozen dataclasses and the table of states. Standard library only, no input or output."""
