"""Passwords, asked for without showing them or read from standard input; never from the command line."""

import sys

import typer

from edge_common.model.errors import InvalidInput


def read_password(prompt: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True))
    password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise InvalidInput("There is no password on standard input; write one line.")
    return password


def read_new_password(prompt: str) -> str:
    """Asked for twice on a terminal."""
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True))
    return read_password(prompt)
