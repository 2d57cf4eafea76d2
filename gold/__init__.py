"""Gold: the set of everything known about a transaction, and what follows from it."""
