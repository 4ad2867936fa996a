"""Vocabulary and mechanisms that at least two services use. Decides nothing for a tier; imports no service."""

__version__ = "0.1.0"
