"""The tree of errors.

HedgerowError
  InvalidInput        the caller sent something wrong; `field` names it
    Unsupported       understood, but this version or this machine cannot do it
  Unauthenticated     who are you?
  Forbidden           known, and not allowed
  NotFound
  Conflict            it clashes with what exists
  TooLarge
  Temporary           may work when tried again
    Unreachable       the other side did not answer
    Overloaded        a bounded queue is full
    RateLimited       the caller asks too often
  Incompatible        the other side speaks another major version
  Broken              a part of ours is not as it must be; an operator has to look
"""


class HedgerowError(Exception):
    """`str(error)` is one sentence for the person who has to act on it."""


class InvalidInput(HedgerowError):
    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Unsupported(InvalidInput):
    pass


class Unauthenticated(HedgerowError):
    pass


class Forbidden(HedgerowError):
    pass


class NotFound(HedgerowError):
    pass


class Conflict(HedgerowError):
    pass


class TooLarge(HedgerowError):
    pass


class Temporary(HedgerowError):
    pass


class Unreachable(Temporary):
    pass


class Overloaded(Temporary):
    pass


class RateLimited(Temporary):
    pass


class Incompatible(HedgerowError):
    pass


class Broken(HedgerowError):
    pass
