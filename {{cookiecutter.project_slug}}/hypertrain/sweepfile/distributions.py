"""One parameter of a sweep file: its distribution, from the words that describe it.

Meaning and bounds are those of W&B's own engine, the package `sweeps` 0.3.0 (`params.py`).
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import yaml

from hypertrain.sweepfile import quantiles
from hypertrain.sweepfile.hints import nearest, shown, typed
from hypertrain.sweepfile.notes import Key, Notes
from hypertrain.sweepfile.numbers import is_number
from hypertrain.sweepfile.quantiles import Inverse

WORDS = {
    "value": "constant",
    "values": "categorical",
    "probabilities": "categorical_w_probabilities",
    **dict.fromkeys(("min", "max"), "uniform"),
    **dict.fromkeys(("mu", "sigma"), "normal"),
    **dict.fromkeys(("a", "b"), "beta"),
    "q": "q_uniform",
    "distribution": "",
    "parameters": "",
}
"""What may stand below a parameter's name, and a distribution that it may be meant for."""
MEANT = {
    **dict.fromkeys(("low", "lower", "minimum", "from"), "min"),
    **dict.fromkeys(("high", "upper", "maximum", "to"), "max"),
    **dict.fromkeys(("mean", "loc"), "mu"),
    **dict.fromkeys(("std", "stddev", "scale"), "sigma"),
    **dict.fromkeys(("step", "quantization"), "q"),
    **dict.fromkeys(("weights", "weight", "probability", "probs", "p"), "probabilities"),
    "alpha": "a",
    "beta": "b",
    **dict.fromkeys(("choices", "options", "list"), "values"),
    **dict.fromkeys(("default", "constant"), "value"),
    **dict.fromkeys(("type", "dist"), "distribution"),
}
"""Words of other tools, and W&B's for the same."""
NEEDS = "give `value: ...`, `values: [...]` or `min: ...` and `max: ...`"
ASTRAY = "looks like a parameter; indent it below `parameters:`"
EXPONENTS = ("log_uniform", "inv_log_uniform", "q_log_uniform")
"""W&B's older distributions, whose bounds are exponents of e."""
MANY = 2**53
"""Floats tell no more whole numbers apart."""
LISTED = 50
"""Longer lists are not written out in a remedy."""


@dataclass(frozen=True)
class Parameter:
    """One leaf of the search space: exactly one of `values` and `quantile` is set, if it is valid.

    values: the choices, or an integer range, or one constant.
    quantile: inverse CDF of a continuous distribution, from (0, 1) to a value.
    steps: what a grid makes of a quantised continuous distribution.
    """

    path: tuple[str, ...]
    values: Sequence[Any] | None = None
    quantile: Callable[[float], Any] | None = None
    steps: Sequence[Any] | None = None

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def grid(self) -> Sequence[Any] | None:
        return self.steps if self.values is None else self.values


def is_parameter(config: Any) -> bool:
    """Whether W&B's words for a parameter stand in it."""
    return isinstance(config, Mapping) and not WORDS.keys().isdisjoint(config)


def word_meant(word: str) -> str | None:
    """W&B's word for a parameter that `word` stands for, if it does."""
    plain = word.strip(" :").partition(":")[0]
    return plain if plain in WORDS else MEANT.get(plain.lower()) or nearest(plain, WORDS)


def read(path: tuple[str, ...], key: Key, config: Mapping[str, Any], notes: Notes) -> Parameter:
    """The parameter named `path`, which stands at `key` of the file."""
    text = _Text(path, key, config, notes)
    implied = _implied(config)
    found = config.get("distribution", implied)
    if found is None and implied and "distribution" in config:
        text.wrong("distribution", "is empty; remove it")
        found = implied
    if found is None:
        text.say_what_is_missing()
        return Parameter(path)
    if not isinstance(found, str) or found not in DISTRIBUTIONS:
        plain = re.sub(r"[\W_]", "", str(found)).lower()
        near = SYNONYMS.get(plain) or nearest(str(found), DISTRIBUTIONS)
        remedy = f"write {near}" if near else f"write one of: {', '.join(DISTRIBUTIONS)}"
        text.wrong("distribution", f"{shown(found)} is unknown; {remedy}")
        return Parameter(path)
    return DISTRIBUTIONS[found](text)


def _implied(config: Mapping[str, Any]) -> str | None:
    """What W&B takes a parameter without `distribution` for."""
    if "value" in config:
        return "constant"
    if "values" in config:
        return "categorical_w_probabilities" if "probabilities" in config else "categorical"
    if "min" in config and "max" in config:
        bounds = (config["min"], config["max"])
        return "int_uniform" if all(type(bound) is int for bound in bounds) else "uniform"
    return None


@dataclass(frozen=True)
class _Text:
    """A parameter as it stands in the file; what is wrong with it is noted."""

    path: tuple[str, ...]
    key: Key
    config: Mapping[str, Any]
    notes: Notes

    @property
    def distribution(self) -> str:
        return str(self.config.get("distribution"))

    def wrong(self, word: str, problem: str) -> None:
        self.notes.problem((*self.key, word), problem)

    def only(self, *words: str) -> None:
        """Nothing but these words, and `distribution`, belongs here."""
        allowed = ("distribution", *words)
        for word in self.config:
            if word not in allowed:
                at = (*self.key, word.rstrip(" :"))
                line = self.notes.lines.get((*self.key, word))
                self.notes.problem(at, self._stray(word, allowed), line)

    def _stray(self, word: str, allowed: Sequence[str]) -> str:
        value = self.config[word]
        if word.rstrip(" :") in WORDS and word not in WORDS:
            meant = word.rstrip(" :")
            return f"has a colon in its name; write `{meant}: {typed(value)}`"
        if word.partition(":")[0] in WORDS and ":" in word:
            return f"a blank is missing after {word.partition(':')[0]}:"
        if isinstance(value, Mapping) and any(inner in WORDS for inner in value):
            return f"looks like a parameter of its own; indent it like {self.path[-1]}"
        meant = MEANT.get(word.lower(), word)
        distribution = self.config.get("distribution") or _implied(self.config)
        quantised = f"q_{str(distribution).replace('int_', '')}"
        if meant == "q" and quantised in DISTRIBUTIONS:
            return f"needs `distribution: {quantised}`" + (", where it is q" if word != "q" else "")
        if meant == "probabilities" and "values" in self.config:
            named = "distribution" in self.config
            own = " with `distribution: categorical_w_probabilities`" if named else ""
            return f"write probabilities{own}"
        if word.lower() == "log" and value is True and "min" in map(word_meant, self.config):
            return "is no word of W&B's; write `distribution: log_uniform_values`"
        known = [word for word in allowed if word not in self.config]
        near = MEANT.get(word.lower()) or nearest(word, known)
        if near in known and word not in WORDS:
            return f"is no word of W&B's; write {near}"
        names = ", ".join(sorted({*allowed}))
        return f"does not belong here; remove it (this distribution has: {names})"

    def say_what_is_missing(self) -> None:
        strange = [word for word in self.config if word not in WORDS]
        self.only(*WORDS)
        given = [word for word in self.config if WORDS.get(word)]
        if len({"min", "max"} & set(given)) == 1:
            self.numbers(min=None, max=None)
        elif not strange and given and given[0] not in ("min", "max"):
            self.wrong(given[0], f"needs a distribution; add `distribution: {WORDS[given[0]]}`")
        elif not strange:
            self.notes.problem(self.key, NEEDS)

    def number(self, word: str, default: float | None = None) -> Any:
        """None if there is none."""
        value = self.config.get(word, default)
        if is_number(value):
            return value
        if value is None:
            self.wrong(word, f"is missing; write `{word}: ` and a number")
        elif isinstance(value, str):
            self.wrong(word, f"{shown(value)} is text to YAML; {self._as_number(value)}")
        else:
            self.wrong(word, f"{shown(value)} is not a number that a float can hold; write one")
        return None

    def _as_number(self, text: str) -> str:
        try:
            number = float(text)
        except ValueError:
            return "write a number, such as 1.0e-4"
        if not is_number(number):
            return "write a number that a float can hold"
        others = [value for value in map(self.config.get, ("min", "max")) if value != text]
        is_whole = self.distribution == "int_uniform" or any(type(v) is int for v in others)
        if re.fullmatch(r"[-+]?\d+", text.strip()) or (is_whole and number.is_integer()):
            number = int(number)
        if number > 0 and self.distribution in EXPONENTS:
            values = f"`distribution: {self.distribution}_values`"
            return f"write {typed(number)} and {values}: {self.distribution} takes exponents of e"
        return f"write {typed(number)}"

    def numbers(self, **defaults: float | None) -> dict[str, Any] | None:
        """The numbers under these words, or their defaults; None if one is missing."""
        found = {word: self.number(word, default) for word, default in defaults.items()}
        return None if None in found.values() else found

    def bounds(self) -> tuple[Any, Any] | None:
        found = self.numbers(min=None, max=None)
        if found is None or found["min"] < found["max"]:
            return (found["min"], found["max"]) if found else None
        low, high = found["min"], found["max"]
        remedy = "swap them" if low > high else f"for one value write `value: {typed(low)}`"
        self.wrong("min", f"{low} must be less than max {high}; {remedy}")
        return None

    def positive(self, **numbers: Any) -> bool:
        """Whether the numbers are above zero; said of each that is not."""
        for word, number in numbers.items():
            if number <= 0:
                self.wrong(word, f"must be greater than 0, not {number}")
        return all(number > 0 for number in numbers.values())

    def listed(self, word: str) -> list[Any] | None:
        value = self.config.get(word)
        if isinstance(value, list) and value:
            return value
        problem = f"must be a list of at least one value, not {shown(value)}"
        self.wrong(word, f"{problem}; {_as_list(word, value)}")
        return None


def _as_list(word: str, value: Any) -> str:
    """What to do about values that are no list."""
    if is_parameter(value):
        return f"leave out `{word}:` and indent what is below it less, as `{typed(value)}`"
    dashed = value.split() if isinstance(value, str) else []
    if len(dashed) > 1 and all(part.startswith("-") for part in dashed):
        return "put a blank after each dash, as `- 1`"
    try:
        meant = _listed(value)
    except (ValueError, yaml.YAMLError):
        meant = [value]
    return f"write `{word}: {typed(meant) if meant else '[...]'}`"


def _listed(value: Any) -> list[Any]:
    """`1, 2` and `(1, 2)` and {1, 2} are lists in the wrong brackets; empty where none is known.

    Raises: ValueError, yaml.YAMLError.
    """
    if isinstance(value, dict):
        return [yaml.safe_load(str(key)) for key in value]
    if not isinstance(value, str):
        return [] if value is None else [value]
    if found := re.fullmatch(r"range\(([\d\s,-]+)\)", value.strip()):
        numbers = range(*map(int, found[1].split(",")))
        return list(numbers) if len(numbers) <= LISTED else []
    if re.search(r"\w\(", value):  # a call
        return []
    inner = value.strip("()[]{} ")
    parts = inner.split(",") if "," in inner else re.split(r"[;\s]+", inner)
    several = [yaml.safe_load(part.strip()) for part in parts]
    return several if "," in inner or all(map(is_number, several)) else [value]


# ---- values to choose from


def _constant(text: _Text) -> Parameter:
    text.only("value")
    if "value" not in text.config:
        text.wrong("value", "is missing; write `value: ` and the value")
    return Parameter(text.path, values=(text.config.get("value"),))


def _categorical(text: _Text) -> Parameter:
    text.only("values")
    return Parameter(text.path, values=text.listed("values"))


def _weighted(text: _Text) -> Parameter:
    text.only("values", "probabilities")
    values, weights = text.listed("values"), text.listed("probabilities")
    if values is None or weights is None:
        return Parameter(text.path)
    if problem := _no_probabilities(weights, len(values)):
        text.wrong("probabilities", problem)
        return Parameter(text.path)
    edges = list(accumulate(weights))
    last = max(i for i, weight in enumerate(weights) if weight > 0)
    return Parameter(text.path, quantile=lambda u: values[min(bisect_right(edges, u), last)])


def _no_probabilities(weights: Sequence[Any], count: int) -> str | None:
    if not all(is_number(weight) and 0 <= weight <= 1 for weight in weights):
        return "must be numbers from 0 to 1"
    if len(weights) != count:
        return f"needs {count} numbers, one for each value"
    if not math.isclose(sum(weights), 1, rel_tol=1e-5, abs_tol=1e-8):
        return f"must add up to 1, not {sum(weights)}"
    return None


def _int_uniform(text: _Text) -> Parameter:
    text.only("min", "max")
    whole = True
    for word in ("min", "max"):
        value = text.config.get(word)
        if type(value) is float and is_number(value):
            remedy = f"write {int(value)}" if value.is_integer() else "write distribution: uniform"
            text.wrong(word, f"{value} must be a whole number for int_uniform; {remedy}")
            whole = False
    bounds = text.bounds()
    if bounds is None or not whole:
        return Parameter(text.path)
    low, high = bounds
    if high - low > MANY:
        text.wrong("max", "is too far from min for int_uniform; write distribution: uniform")
        return Parameter(text.path)
    return Parameter(text.path, values=range(low, high + 1))


# ---- continuous distributions

_Reader = Callable[[_Text], Parameter]
_Shape = Callable[[_Text], Inverse | None]
"""Reads the numbers of a distribution; None if they are wrong."""


def _between(shape: Callable[[float, float], Inverse], positive: bool = False) -> _Shape:
    """With bounds; `positive` ones where their logarithm is taken."""

    def read(text: _Text) -> Inverse | None:
        bounds = text.bounds()
        if bounds is None or (positive and not text.positive(min=bounds[0])):
            return None
        if text.distribution in EXPONENTS:
            _doubt_exponents(text, *bounds)
        return shape(*bounds)

    return read


def _doubt_exponents(text: _Text, low: float, high: float) -> None:
    """Bounds above zero may be meant as values; the logarithms of small values are below."""
    name = text.distribution
    inverse = {"inv_log_uniform": quantiles.inv_log_uniform}.get(name, quantiles.log_uniform)
    if low >= 0 and quantiles.is_finite(inverse(low, high)):
        ends = [inverse(low, high)(u) for u in (quantiles.EDGE, 1 - quantiles.EDGE)]
        means = f"from {ends[0]:.4g} to {ends[1]:.4g}"
        text.notes.warning(
            text.key,
            f"{name} takes exponents of e, so this means values {means}; for values from "
            f"{low:g} to {high:g} write distribution: {name}_values",
        )


def _with(shape: Callable[..., Inverse], *positive: str, **defaults: float) -> _Shape:
    """With the numbers named in `defaults`."""

    def read(text: _Text) -> Inverse | None:
        numbers = text.numbers(**defaults)
        if numbers is None or not text.positive(**{word: numbers[word] for word in positive}):
            return None
        return shape(**numbers)

    return read


def _continuous(shape: _Shape, *words: str) -> _Reader:
    def read(text: _Text) -> Parameter:
        text.only(*words)
        return _finite(text, shape(text))

    return read


def _quantised(shape: _Shape, *words: str) -> _Reader:
    """Rounded to multiples of `q`."""

    def read(text: _Text) -> Parameter:
        text.only(*words, "q")
        inverse, q = shape(text), text.number("q", 1.0)
        if inverse is None or q is None or not text.positive(q=q):
            return Parameter(text.path)
        return _finite(text, lambda u: round(inverse(u) / q) * q)

    return read


def _q_uniform(text: _Text) -> Parameter:
    parameter = _quantised(_between(quantiles.uniform), "min", "max")(text)
    if parameter.quantile is None:
        return parameter
    low, high, q = text.config["min"], text.config["max"], text.config.get("q", 1.0)
    if (high - low) / q > MANY or low + q == low or high + q == high:
        text.wrong("q", f"{q} is too small for min {low} and max {high}; raise it")
        return Parameter(text.path)
    return Parameter(text.path, quantile=parameter.quantile, steps=quantiles.Steps(low, high, q))


def _finite(text: _Text, inverse: Inverse | None) -> Parameter:
    if inverse is None or quantiles.is_finite(inverse):
        return Parameter(text.path, quantile=inverse)
    name, remedy = text.distribution, "use smaller ones"
    if name in EXPONENTS:
        remedy = f"{name} takes exponents of e; for plain values write distribution: {name}_values"
    elif "log_normal" in name:
        remedy = f"{name} takes mu and sigma of the logarithm; use smaller ones"
    text.notes.problem(text.key, f"these numbers lead to values too large to compute; {remedy}")
    return Parameter(text.path)


_BOUNDS, _MOMENTS, _EXPONENTS = ("min", "max"), ("mu", "sigma"), ("a", "b")
_uniform = _between(quantiles.uniform)
_log_uniform = _between(quantiles.log_uniform)
_log_uniform_values = _between(quantiles.log_uniform_values, positive=True)
_inv_log_uniform = _between(quantiles.inv_log_uniform)
_inv_log_uniform_values = _between(quantiles.inv_log_uniform_values, positive=True)
_normal = _with(quantiles.normal, "sigma", mu=0.0, sigma=1.0)
_log_normal = _with(quantiles.log_normal, "sigma", mu=0.0, sigma=1.0)
_beta = _with(quantiles.beta, "a", "b", a=1.0, b=1.0)

DISTRIBUTIONS: dict[str, _Reader] = {
    "constant": _constant,
    "categorical": _categorical,
    "categorical_w_probabilities": _weighted,
    "int_uniform": _int_uniform,
    "uniform": _continuous(_uniform, *_BOUNDS),
    "q_uniform": _q_uniform,
    "log_uniform": _continuous(_log_uniform, *_BOUNDS),
    "log_uniform_values": _continuous(_log_uniform_values, *_BOUNDS),
    "q_log_uniform": _quantised(_log_uniform, *_BOUNDS),
    "q_log_uniform_values": _quantised(_log_uniform_values, *_BOUNDS),
    "inv_log_uniform": _continuous(_inv_log_uniform, *_BOUNDS),
    "inv_log_uniform_values": _continuous(_inv_log_uniform_values, *_BOUNDS),
    "normal": _continuous(_normal, *_MOMENTS),
    "q_normal": _quantised(_normal, *_MOMENTS),
    "log_normal": _continuous(_log_normal, *_MOMENTS),
    "q_log_normal": _quantised(_log_normal, *_MOMENTS),
    "beta": _continuous(_beta, *_EXPONENTS),
    "q_beta": _quantised(_beta, *_EXPONENTS),
}
_LOGARITHMIC = {"": "log_uniform", "q": "q_log_uniform", "inv": "inv_log_uniform"}
SYNONYMS = {
    **dict.fromkeys(("choice", "choices", "discrete", "enum", "list"), "categorical"),
    **dict.fromkeys(("int", "integer", "randint"), "int_uniform"),
    **dict.fromkeys(("float", "double", "continuous"), "uniform"),
    **dict.fromkeys(("log", "logarithmic"), "log_uniform_values"),
    **dict.fromkeys(("gauss", "gaussian"), "normal"),
    **{prefix + "loguniform": f"{name}_values" for prefix, name in _LOGARITHMIC.items()},
    **dict.fromkeys(("floatuniform", "uniformfloat"), "uniform"),
    **dict.fromkeys(("uniformint", "quniformint", "intuniform"), "int_uniform"),
    "quniform": "q_uniform",
    "qnormal": "q_normal",
    "lognormal": "log_normal",
    "qlognormal": "q_log_normal",
}
"""Names that other tools give to W&B's distributions, and W&B's own, without `_` and blanks."""
