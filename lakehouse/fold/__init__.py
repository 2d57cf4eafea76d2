"""Gold as a pure fold: the union of sets of contributions, and what a set says of a payment."""
