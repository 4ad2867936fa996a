"""The operator's command. It exits with 0: well, 1: failed, 2: wrong command or input, 130: interrupted."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from edge_common.model.errors import HedgerowError, InvalidInput, NotFound
from hedgerow.cli.app import app
from hedgerow.cli.output import complain
from hedgerow.machine.readiness import NotReady

logger = logging.getLogger(__name__)

DEBUG_VARIABLE = "HEDGEROW_DEBUG"
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """With those of the command line when none are given."""
    is_debug = bool(os.environ.get(DEBUG_VARIABLE))
    logging.basicConfig(level=logging.DEBUG if is_debug else logging.CRITICAL, format="%(levelname)s %(message)s")
    try:
        app(None if arguments is None else list(arguments), prog_name="hedgerow")
    except NotReady as error:
        complain(str(error), error.lines)
    except (InvalidInput, NotFound) as error:
        complain(str(error))
        sys.exit(BAD_INPUT)
    except HedgerowError as error:
        complain(str(error))
    except KeyboardInterrupt:
        complain("Interrupted; what was asked of the root before goes on.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        logger.debug("unexpected", exc_info=True)
        complain(f"An unexpected {type(error).__name__}: {error}. {DEBUG_VARIABLE}=1 shows where it comes from.")
    sys.exit(FAILED)


if __name__ == "__main__":
    main()
