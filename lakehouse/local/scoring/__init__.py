"""A small trained fraud model behind the inference API: `train` makes it, `serve` answers."""
