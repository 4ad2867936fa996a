"""Runs first in a packed program: what it starts must use the system's libraries, not those that we bring."""

import os

_BEFORE = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
os.environ.pop("LD_LIBRARY_PATH", None)
if _BEFORE is not None:
    os.environ["LD_LIBRARY_PATH"] = _BEFORE
for _name in [name for name in os.environ if name.startswith("_PYI_")]:
    del os.environ[_name]
