"""Which solver an alignment is solved with: one, from its first iteration to its last.

pede and the built-in solver agree to within their tolerances, not to the byte, and not in what they
say of uncertainties: a change between two iterations shows as a step where nothing moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auto_iter.alignment.history import IterationRecord
from auto_iter.config.schema import Config
from auto_iter.errors import UsageError
from auto_iter.millepede.pede.program import choose_pede


def frozen(
    config: Config, history: Sequence[IterationRecord], env: Mapping[str, str]
) -> tuple[Config, str | None]:
    """Return `config` with `millepede.solver: auto` replaced by what it means, and a word on it.

    That is the solver of the iterations so far; without any, pede where it is found from here, by
    its path. Raises InputError where a pede that is asked for is not there.
    """
    if config.millepede.solver != "auto":
        return config, None
    before, install = _so_far(history), config.paths.pede_install
    if before == "builtin":
        return config.but("millepede", solver="builtin"), "builtin, as in the iterations so far"
    program = choose_pede("pede" if before == "pede" else "auto", install, env)
    if program is None:
        return config.but(
            "millepede", solver="builtin"
        ), "builtin, for there is no pede on PATH here"
    config = config.but("paths", pede_install=install or program)
    return config.but("millepede", solver="pede"), f"pede, {program}"


def change_in_words(
    config: Config, history: Sequence[IterationRecord], env: Mapping[str, str]
) -> str | None:
    """Return that the next iteration would be solved otherwise than those so far, if it would."""
    before = _so_far(history)
    if not before:
        return None
    meant = config.millepede.solver
    if meant == "auto":
        meant = "pede" if choose_pede(meant, config.paths.pede_install, env) else "builtin"
    if meant == before:
        return None
    return f"iterations so far were solved by {before}, the next ones will be by {meant}"


def refuse_change_by_chance(
    config: Config, history: Sequence[IterationRecord], env: Mapping[str, str]
) -> None:
    """Raise UsageError where it is `auto`, and nobody's wish, that would change the solver."""
    changed = change_in_words(config, history, env)
    if changed is not None and config.millepede.solver == "auto":
        raise UsageError(
            f"millepede.solver=auto: {changed}; say which with --set millepede.solver=builtin or "
            "pede (and paths.pede_install)"
        )


def as_frozen(asked: Config, there: Config) -> Config:
    """Return what is asked of a workspace with `auto` meaning what it has been frozen to there."""
    if asked.millepede.solver != "auto" or there.millepede.solver == "auto":
        return asked
    install = asked.paths.pede_install or there.paths.pede_install
    return asked.but("paths", pede_install=install).but("millepede", solver=there.millepede.solver)


def _so_far(history: Sequence[IterationRecord]) -> str:
    """Return what solved the iterations; empty where none is, or none knows (older versions)."""
    own = (each.solver for each in reversed(history) if each.by_hand is None and each.solver)
    return next(own, "")
