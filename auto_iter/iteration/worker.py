"""`python -m auto_iter.iteration.worker convert|solve REQUEST.json`: one child of the daemon.

Exit code 0: done. 1: one line on standard error says why; 75: likewise, and it will pass (a full
disk, a stale file system); 65: Mille binaries were damaged, and are removed now: convert them
again. It dies with its parent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from auto_iter.processes.orphans import die_with_daemon
from auto_iter.processes.threads import use_one_thread


def main(arguments: Sequence[str]) -> int:
    """Do what the request says; return the exit code."""
    use_one_thread()  # hence the imports below
    from auto_iter.errors import (
        DAMAGED_EXIT_CODE,
        TRANSIENT_EXIT_CODE,
        AutoIterError,
        DamagedError,
        passes,
    )

    try:
        _run(*arguments)
    except DamagedError as error:
        for path in error.paths:
            path.unlink(missing_ok=True)
        print(" ".join(str(error).split()), file=sys.stderr)
        return DAMAGED_EXIT_CODE
    except AutoIterError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return TRANSIENT_EXIT_CODE if passes(error) else 1
    return 0


def _run(what: str = "", request: str = "", *rest: str) -> None:
    from pydantic import ValidationError

    from auto_iter.errors import UsageError
    from auto_iter.millepede.requests import ConvertRequest, SolveRequest
    from auto_iter.wording import first_problem

    if what not in ("convert", "solve") or not request or rest:
        raise UsageError("usage: python -m auto_iter.iteration.worker convert|solve REQUEST.json")
    try:
        content = Path(request).read_bytes()
        if what == "convert":
            from auto_iter.millepede.converting import convert_sources

            convert_sources(ConvertRequest.model_validate_json(content))
        else:
            from auto_iter.millepede.workflow import solve
            from auto_iter.weakmodes.review import review

            solve(SolveRequest.model_validate_json(content), os.environ, review)
    except ValidationError as error:
        raise UsageError(f"{request}: {first_problem(error)}") from error


if __name__ == "__main__":
    die_with_daemon(os.environ)
    exit_code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # taking the interpreter apart takes longer than converting a small file
    os._exit(exit_code)
