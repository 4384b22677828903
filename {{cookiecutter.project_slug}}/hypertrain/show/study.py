"""A sweep as an Optuna study, for optuna-dashboard and whatever else reads Optuna's journal."""

import math
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from hypertrain import UserError
from hypertrain.results.outcome import Outcome, Row
from hypertrain.results.series import series
from hypertrain.show.words import plainly

STATES = {
    "completed": TrialState.COMPLETE,
    "finished": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "running": TrialState.RUNNING,
}
POINTS = 100
"""So many values of a learning curve are kept."""


def write_study(path: Path, found: Outcome) -> None:
    """Write a new file that holds the study.

    Raises: UserError when there is something at `path`, or it cannot be written.
    """
    if path.exists():
        raise UserError(f"{path}: is there already; name another file, or remove it")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    distributions = _distributions(found)
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(part))),
            study_name=found.title,
            direction=found.metric.goal if found.metric else "minimize",
        )
        study.set_metric_names([found.metric.name if found.metric else "nothing"])
        study.add_trials([_trial(row, found, distributions) for row in found.rows])
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _trial(row: Row, found: Outcome, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    params = {name: _value(value, distributions[name]) for name, value in row.flat.items()}
    state = STATES.get(row.state, TrialState.FAIL)
    if state == TrialState.COMPLETE and row.value is None:
        state = TrialState.FAIL  # a study without a metric has nothing to compare
    attributes = {"trial": row.name, "state": row.state, "reason": row.note, "run": row.run or ""}
    trial = create_trial(
        state=state,
        value=row.value if state == TrialState.COMPLETE else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        intermediate_values=_curve(row, found),
        user_attrs={name: value for name, value in attributes.items() if value},
    )
    trial.datetime_start = datetime.fromtimestamp(row.begun or 0)
    if state.is_finished():
        trial.datetime_complete = datetime.fromtimestamp(row.ended or row.begun or 0)
    return trial


def _curve(row: Row, found: Outcome) -> dict[int, float]:
    if not row.folder or not found.metric:
        return {}
    values = series(row.folder, {found.metric.name}).get(found.metric.name, [])
    step = max(1, -(-len(values) // POINTS))
    return {i + 1: values[i] for i in range(0, len(values), step) if math.isfinite(values[i])}


def _distributions(found: Outcome) -> dict[str, BaseDistribution]:
    names = dict.fromkeys(name for row in found.rows for name in row.flat)
    return {
        name: _distribution([row.flat[name] for row in found.rows if name in row.flat], found, name)
        for name in names
    }


def _distribution(values: Sequence[Any], found: Outcome, name: str) -> BaseDistribution:
    """The range that the trials cover; Optuna knows numbers and choices alone."""
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )
    if not numbers:
        return CategoricalDistribution(list(dict.fromkeys(map(_choice, values))))
    low, high = min(values), max(values)
    log = name in found.logs and low > 0
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _value(value: Any, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return _choice(value)
    return float(value) if isinstance(distribution, FloatDistribution) else value


def _choice(value: Any) -> bool | int | float | str | None:
    value = plainly(value)
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
