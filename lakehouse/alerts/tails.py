"""How unlikely a count is: exact tails of few and of many, without a table and without a library.

A count of things that happen by themselves is Poisson; where its rate differs a little from day to
day it spreads more, and is negative binomial. Both are summed term by term.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p, sqrt

_NEGLIGIBLE = 1e-12
_NEAR_STEPS = 3.0


def at_least(count: int, mean: float, spread: float) -> float:
    """Probability of `count` or more where `mean` is expected.

    `spread` is the standard deviation of the expected number itself, from day to day: 0 is Poisson.
    Nearer than three standard deviations the answer is 1: nobody asks for the digits there.
    """
    if count <= mean + _NEAR_STEPS * sqrt(mean + spread**2):
        return 1.0
    term = exp(_log_mass(count, mean, spread))
    total, number = 0.0, count
    while term > total * _NEGLIGIBLE:
        total += term
        term *= _ratio(number, mean, spread)
        number += 1
    return min(1.0, total)


def at_most(count: int, mean: float, spread: float) -> float:
    """Probability of `count` or fewer; as `at_least`."""
    if count >= mean - _NEAR_STEPS * sqrt(mean + spread**2):
        return 1.0
    term = exp(_log_mass(count, mean, spread))
    total, number = 0.0, count
    while number >= 0 and term > total * _NEGLIGIBLE:
        total += term
        number -= 1
        if number >= 0:
            term /= _ratio(number, mean, spread)
    return min(1.0, total)


def _log_mass(count: int, mean: float, spread: float) -> float:
    if mean <= 0:
        return 0.0 if count == 0 else -float("inf")
    if spread <= 0:
        return count * log(mean) - mean - lgamma(count + 1)
    size = mean**2 / spread**2
    return (
        lgamma(count + size)
        - lgamma(size)
        - lgamma(count + 1)
        - size * log1p(mean / size)
        + count * (log(mean) - log(mean + size))
    )


def _ratio(count: int, mean: float, spread: float) -> float:
    """Of the probability of the next count to that of this one."""
    if spread <= 0:
        return mean / (count + 1)
    size = mean**2 / spread**2
    return (count + size) / (count + 1) * mean / (mean + size)
