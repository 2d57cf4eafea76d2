"""How unlikely a count is: exact tails of few and of many, without a table and without a library.

A count of things that happen by themselves is Poisson; where its rate differs a little from day to
day it spreads more, and is negative binomial. Both are summed term by term. A count out of so many
is binomial, and where its share differs a little, beta-binomial.
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


def log_likelihood(count: int, of: int, share: float, relative_spread: float) -> float:
    """Log of how likely `count` out of `of` is, less a term that is the same for each share.

    Each is one with a chance of `share` (above 0, below 1), which itself differs from time to time
    by a standard deviation of `relative_spread` of it: beta-binomial.
    """
    ones, others = _beta(share, relative_spread)
    return (
        lgamma(count + ones)
        - lgamma(ones)
        + lgamma(of - count + others)
        - lgamma(others)
        + lgamma(ones + others)
        - lgamma(of + ones + others)
    )


def at_least_of(count: int, of: int, share: float, relative_spread: float) -> float:
    """Probability of `count` or more out of `of`; the share is as in `log_likelihood`.

    Of fewer than expected the answer is 1: nobody asks for the digits there.
    """
    if count <= of * share:
        return 1.0
    ones, others = _beta(share, relative_spread)
    ways = lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)
    term = exp(ways + log_likelihood(count, of, share, relative_spread))
    total = 0.0
    for number in range(count, of + 1):
        if term <= total * _NEGLIGIBLE:
            break
        total += term
        if number < of:
            term *= (of - number) / (number + 1)
            term *= (number + ones) / (of - number - 1 + others)
    return min(1.0, total)


def _beta(share: float, relative_spread: float) -> tuple[float, float]:
    # one hump at least: a share that is known less well than that nobody means
    size = max(share * (1 - share) / (relative_spread * share) ** 2 - 1, 1.0)
    return share * size, (1 - share) * size


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
