"""`python -m auto_iter.report WORKSPACE [--page-only]`: what is to be seen of an alignment so far.

Writes `WORKSPACE/report/`: `report.html`, `constants.txt`, each figure of the page as PNG (not with
`--page-only`: `convergence_<depth>_<parameter>.png`, `chi2.png`, `residuals.png`, for a simulated
detector `pulls.png`, and more), and `report.json`:

- `schema` (1), `title`, `state`, `notes` (what could not be read), `files`;
- `iterations`: for each finished one `iteration`, `phase`, `solver`, `tracks`, `track_chi2_ndf` (as
  reconstructed), `pede_chi2_ndf` (after the fit), `max_shift_um`, `max_rotation_mrad`, `max_pull`,
  `warnings`, `residual_width_um` (`before_cuts`, `after_cuts` by layer: label digits);
- `ranges`: of an alignment of several runs, for each `range` in the last iteration `weight`,
  `files`, `tracks`, `chi2_ndf`, `mean_um` (the most significant mean residual of a layer or
  module), its `error_um` and `place`, `width_um`;
- `constants`: for each that was ever free `key`, `parameter`, `name`, `values` (start, then after
  each iteration), `sigma` (as pede says), `change` (last), in mm and rad; for a simulated detector
  `truth`, and without the weak modes `difference` (found − truth), `difference_sigma`, `pull`;
- `weak_modes` (null without Mille binaries): `parameters`, `weak` (how many combinations the data
  fix less than `threshold` times what is known without them), `eigenvalues` (ascending, in those
  units), `named`: `name`, `count`, `information`, `labels` (label → share in the first one);
- `pulls` (null without truth): of the constants `constants` (number), `mean`, `width`, `largest`,
  `largest_in_quoted_uncertainties`; of independent combinations `combinations` (number),
  `combinations_mean`, `combinations_width`, `chi2`.

Exit code 0, also when no iteration is finished yet; 1 with one line on standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from auto_iter.processes.orphans import die_with_daemon
from auto_iter.processes.threads import use_one_thread

PAGE_ONLY = "--page-only"
NICENESS = 10
"""Local jobs of the next iteration have the processors first."""


def main(arguments: Sequence[str]) -> int:
    """Write the report; return the exit code."""
    use_one_thread()  # hence the imports below
    from auto_iter.errors import AutoIterError
    from auto_iter.report.build import write_report

    given = [each for each in arguments if each != PAGE_ONLY]
    if len(given) != 1:
        print(f"usage: python -m auto_iter.report WORKSPACE [{PAGE_ONLY}]", file=sys.stderr)
        return 2
    try:
        files = write_report(Path(given[0]), pictures=PAGE_ONLY not in arguments)
    except AutoIterError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'report'}: {error.strerror}", file=sys.stderr)
        return 1
    print(files[0])
    return 0


if __name__ == "__main__":
    die_with_daemon(os.environ)
    if PAGE_ONLY in sys.argv:
        os.nice(NICENESS)
    sys.exit(main(sys.argv[1:]))
