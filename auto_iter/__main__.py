"""`python -m auto_iter`."""

import sys

from auto_iter.cli import main

sys.exit(main())
