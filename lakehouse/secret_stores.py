"""The values that secret references name: environment, this machine's files, an account's stores.

Secrets Manager and SSM are asked by the role of the job; region and credentials are the process's
own, as for every client of Amazon's.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from lakehouse.config import ACCOUNT_STORES
from lakehouse.errors import ConfigError


def secret(reference: str) -> str:
    """Look up the value that a `SecretRef` names; a `generated-file:` is made on first use.

    Raises:
        ConfigError: the environment variable is not set, or the account does not give the secret.
    """
    scheme, _, name = reference.partition(":")
    if scheme in ACCOUNT_STORES:
        return _of_account(reference)
    if scheme == "env":
        if not os.environ.get(name):
            raise ConfigError(reference, ["the environment variable is not set"])
        return os.environ[name]
    path = Path(name)
    if not path.exists():
        _generate_secret(path)
    return path.read_text(encoding="ascii").strip()


def _generate_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="ascii") as partial:
        partial.write(secrets.token_hex(32))
        partial.flush()
        # a link never replaces: of all who race, the first one's secret is everybody's
        with suppress(FileExistsError):
            os.link(partial.name, path)


def _of_account(reference: str) -> str:
    """Fetch what `secretsmanager:NAME`, `secretsmanager:NAME#KEY` or `ssm:NAME` names.

    The value is as it stands now: nothing is remembered.

    Raises:
        ConfigError: it is not there, may not be read, is empty, or has no such key. The value is in
            no message.
    """
    # half a second to import, and a laptop has no use for it
    from botocore.exceptions import BotoCoreError, ClientError

    store, _, rest = reference.partition(":")
    name, _, key = rest.partition("#")
    try:
        value = _asked(store, name)
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


def _asked(store: str, name: str) -> str:
    import boto3

    # stubs of these are no part of the lock
    if store == "secretsmanager":
        keeper: Any = boto3.client("secretsmanager")
        return str(keeper.get_secret_value(SecretId=name).get("SecretString", ""))
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
