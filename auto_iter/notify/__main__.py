"""`python -m auto_iter.notify`: deliver the event in the environment; what a daemon starts."""

from __future__ import annotations

import os
import sys

from auto_iter.notify.delivery import Delivery, deliver
from auto_iter.notify.herald import VARIABLE
from auto_iter.processes.orphans import die_with_daemon


def main() -> int:
    """Deliver; what went wrong is the last line on standard error."""
    die_with_daemon(os.environ)
    delivery = Delivery.model_validate_json(os.environ.pop(VARIABLE))
    wrong = list(deliver(delivery))
    if wrong:
        print(" | ".join(" ".join(each.split()) for each in wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
