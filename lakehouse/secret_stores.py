"""Secrets that an account keeps: Secrets Manager and SSM parameters, by the role of the job.

Region and credentials are the process's own, as for every client of Amazon's.
"""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.errors import ConfigError

STORES = ("secretsmanager", "ssm")
_NAME = re.compile(r"[\w/+=.@:-]{1,2048}(#\w{1,128})?", re.ASCII)


def names_a_stored_secret(name: str) -> bool:
    """Whether it can be the name (or ARN) of one, and `#KEY` where the secret is a JSON object."""
    return _NAME.fullmatch(name) is not None


def stored_secret(reference: str) -> str:
    """Fetch what `secretsmanager:NAME`, `secretsmanager:NAME#KEY` or `ssm:NAME` names, as it is now.

    Raises:
        ConfigError: it is not there, may not be read, is empty, or has no such key. The value is in
            no message.
    """
    store, _, rest = reference.partition(":")
    name, _, key = rest.partition("#")
    try:
        value = _secrets_manager(name) if store == "secretsmanager" else _parameter(name)
    except ClientError as fault:
        code = fault.response["Error"]["Code"]
        raise ConfigError(reference, [f"cannot be read: {code}. Is it there, and may the role of "
                                      "this job read it and its key?"]) from None  # fmt: skip
    except BotoCoreError as fault:
        raise ConfigError(reference, [f"cannot be asked for: {type(fault).__name__}"]) from None
    value = _key_of(reference, value, key) if key else value
    if not value:
        raise ConfigError(reference, ["is empty"])
    return value


def _secrets_manager(name: str) -> str:
    # stubs of these are no part of the lock
    client: Any = boto3.client("secretsmanager")
    return str(client.get_secret_value(SecretId=name).get("SecretString", ""))


def _parameter(name: str) -> str:
    client: Any = boto3.client("ssm")
    return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def _key_of(reference: str, value: str, key: str) -> str:
    try:
        held = json.loads(value)
    except ValueError:
        held = None
    if not isinstance(held, dict) or not isinstance(held.get(key), str):
        raise ConfigError(reference, [f"holds no JSON object with a text under {key!r}"])
    return str(held[key])
