"""What a survey would buy an alignment, as text: from an iteration's tracks, changing nothing."""

from __future__ import annotations

from collections.abc import Iterator

from auto_iter.detector.constants import combinations
from auto_iter.detector.labels import TRANSLATIONS, label_of, place_of
from auto_iter.errors import InputError
from auto_iter.millepede.steering.reader import Combination
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.millepede.survey import Measured, Survey
from auto_iter.report.history import History
from auto_iter.weakmodes.beforehand import constraint_rows, known_before, prior_of
from auto_iter.weakmodes.information import data_hessian
from auto_iter.weakmodes.with_survey import Gain, WithSurvey, with_survey


def survey_lines(history: History, survey: Survey) -> list[str]:
    """Return the weak modes of the last iteration without and with `survey`, and its own lines.

    A survey that the alignment used is left out in both. Raises InputError where no iteration has
    its solution, or its Mille binaries are gone.
    """
    free = history.free_labels
    if not free:
        raise InputError(f"{history.title}: no iteration has its constants yet")
    places = [iteration.paths.millepede for iteration in history.iterations]
    scheme = history.strategy.labels
    outcome = with_survey(
        _as_labels(survey, history.strategy),
        list(free),
        data_hessian(history.last.binaries, list(free), history.last.solution.weights),
        known_before(prior_of(places), free),
        constraint_rows(places, list(free)),
        scheme,
    )
    names = {label: place_of(label, scheme).name for label in free}
    return [
        f"{history.subject}: uncertainties of the fit, prior included, without and with the survey",
        *_measured_lines(survey, outcome),
        *_gains(outcome, names),
    ]


def _as_labels(survey: Survey, strategy: Strategy) -> list[Combination]:
    known = combinations(strategy.places.values(), strategy.labels)
    return [
        Combination(
            each.value,
            each.sigma,
            tuple(
                (label_of(where, strategy.labels), w) for where, w in each.weights(known).items()
            ),
        )
        for each in survey
    ]


def _measured_lines(survey: Survey, outcome: WithSurvey) -> Iterator[str]:
    yield ""
    yield f"{'without':>14}  {'with':>14}  measured"
    for measured, sigmas in zip(survey, outcome.sigmas, strict=True):
        is_shift = _is_shift(measured)
        line = "  ".join(f"{_in_units(sigma, is_shift):>14}" for sigma in sigmas)
        yield f"{line}  {measured.text} ± {_in_units(measured.sigma, is_shift)}"


def _is_shift(measured: Measured) -> bool:
    return all(name in TRANSLATIONS for _, name in measured.factors)


def _gains(outcome: WithSurvey, names: dict[int, str]) -> Iterator[str]:
    before, after = outcome.weak
    yield ""
    yield f"weak modes: {before} combinations without, {after} with the survey"
    yield f"{'without':>14}  {'with':>14}  weak modes, and the largest member of what gains most"
    for gain in outcome.gains:
        yield _gain_line(gain, names)


def _gain_line(gain: Gain, names: dict[int, str]) -> str:
    before, after = gain.counts
    count = f"{before} -> {after}  {gain.name}"
    if gain.label is None or gain.sigmas is None:
        return f"{'':>14}  {'':>14}  {count}"
    name = names[gain.label]
    is_shift = name.rsplit(" ", 1)[-1] in TRANSLATIONS
    sigmas = "  ".join(f"{_in_units(sigma, is_shift):>14}" for sigma in gain.sigmas)
    return f"{sigmas}  {count} ({name})"


def _in_units(value: float, is_shift: bool) -> str:
    return f"{1e3 * value:.3g} {'µm' if is_shift else 'mrad'}"
