"""The inference API on this machine: `POST /score` and `GET /health`, on loopback by default."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, field_validator

from lakehouse.errors import LakehouseError
from lakehouse.local.scoring.features import Observation
from lakehouse.local.scoring.model import FraudModel
from lakehouse.local.scoring.train import ensure_model

LARGEST_BATCH = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PaymentToScore(BaseModel):
    """The fields of the transaction contract that the model looks at; others are allowed.

    `amount` counts smallest units of `currency`; `timestamp` is ISO-8601 with an offset, or epoch
    milliseconds.
    """

    # the platform may send every field it has, and later more of them
    model_config = ConfigDict(frozen=True, extra="ignore")

    transaction_id: Text
    user_id: Text | StrictInt
    # the years 1970 to 9999
    timestamp: Annotated[int, Field(ge=0, lt=253_402_300_800_000)]
    amount: Decimal
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    merchant_id: Text | None = None

    @field_validator("timestamp", mode="before")
    @classmethod
    def _instant(cls, value: Any) -> int:
        """Read ISO-8601 text with an offset, or a whole number of epoch milliseconds."""
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError("a timestamp needs an offset")
            return (moment - EPOCH) // timedelta(milliseconds=1)
        if isinstance(value, bool) or not isinstance(value, int):
            # pydantic reports a ValueError, and lets a TypeError through
            raise ValueError("expected ISO-8601 text or epoch milliseconds")
        return value

    @field_validator("amount", mode="before")
    @classmethod
    def _whole_amount(cls, value: Any) -> Decimal:
        """Read a whole number of smallest units: an integer, or text such as 1234 or 1234.00."""
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise ValueError("expected an integer or a decimal string")
        if not re.fullmatch(r"\d{1,15}(\.0{1,2})?", str(value), re.ASCII):
            raise ValueError("expected whole smallest units, not negative")
        return Decimal(value)

    def observation(self) -> Observation:
        """Give the facts in the units of the model."""
        return Observation(
            self.transaction_id,
            str(self.user_id),
            self.timestamp,
            float(self.amount),
            self.currency,
            self.country,
            self.merchant_id,
        )


class ScoreRequest(BaseModel):
    """A batch of payments, scored each by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transactions: Annotated[list[PaymentToScore], Field(max_length=LARGEST_BATCH)]


class TransactionScore(BaseModel):
    """One answer: probability 0..1 with six decimals, contributions in log-odds."""

    transaction_id: str
    fraud_score: float
    explanations: dict[str, float]


class ScoreResponse(BaseModel):
    """Answers in the order of the request."""

    # `model_` is a prefix that pydantic keeps for itself
    model_config = ConfigDict(protected_namespaces=())

    model_version: str
    scores: list[TransactionScore]


class Health(BaseModel):
    """The service answers, with this model."""

    model_config = ConfigDict(protected_namespaces=())

    status: str
    model_version: str


def create_app(model: FraudModel) -> FastAPI:
    """Serve one model; a request that breaks the contract gets 422 with each wrong field."""
    app = FastAPI(title="Fraud scoring", docs_url=None, redoc_url=None)

    @app.exception_handler(RequestValidationError)
    def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
        # names the wrong fields, and never repeats what stood in them
        faults = [
            {name: fault[name] for name in ("loc", "msg", "type")} for fault in error.errors()
        ]
        return JSONResponse({"detail": faults}, status_code=422)

    @app.post("/score")
    def score(request: ScoreRequest) -> ScoreResponse:
        scored = model.score(payment.observation() for payment in request.transactions)
        return ScoreResponse(
            model_version=model.model_version,
            scores=[TransactionScore(**answer._asdict()) for answer in scored],
        )

    @app.get("/health")
    def health() -> Health:
        return Health(status="ok", model_version=model.model_version)

    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; the model is trained first when it is not current."""
    parser = argparse.ArgumentParser(description="Serve the fraud model over HTTP.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="loopback unless told otherwise")
    parser.add_argument("--model", type=Path, default=None, help="where the model file stands")
    options = parser.parse_args(arguments)
    try:
        model = FraudModel.load(ensure_model(options.model))
    except LakehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    uvicorn.run(
        create_app(model),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
