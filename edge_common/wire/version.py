"""The version of the messages on the link. A new major version is one that an older reader must not guess at."""

MAJOR = 1
