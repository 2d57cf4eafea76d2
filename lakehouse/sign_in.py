"""How clients sign in to Kafka: Spark's readers are Java, all others librdkafka.

MSK takes both ways: the IAM role of the job, without any password, or a user with a password
(SASL/SCRAM), which are secrets of the account.
"""

from __future__ import annotations

import math
from functools import partial

from lakehouse.config import IamSignIn, ScramSignIn
from lakehouse.secret_stores import secret

ClientOptions = dict[str, object]

_MECHANISM = "SCRAM-SHA-512"  # the one that MSK has


def reader_sign_in(sign_in: IamSignIn | ScramSignIn | None) -> dict[str, str]:
    """Options of Spark's Kafka source.

    Raises:
        ConfigError: the user or the password is named, but not there.
    """
    match sign_in:
        case None:
            return {}
        case IamSignIn():
            iam = "software.amazon.msk.auth.iam"
            return {
                "kafka.security.protocol": "SASL_SSL",
                "kafka.sasl.mechanism": "AWS_MSK_IAM",
                "kafka.sasl.jaas.config": f"{iam}.IAMLoginModule required;",
                "kafka.sasl.client.callback.handler.class": f"{iam}.IAMClientCallbackHandler",
            }
        case ScramSignIn():
            login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
            user, password = _quoted(secret(sign_in.user)), _quoted(secret(sign_in.password))
            return {
                "kafka.security.protocol": "SASL_SSL",
                "kafka.sasl.mechanism": _MECHANISM,
                "kafka.sasl.jaas.config": f"{login} username={user} password={password};",
            }


def client_sign_in(sign_in: IamSignIn | ScramSignIn | None) -> ClientOptions:
    """Options of librdkafka.

    Raises:
        ConfigError: the user or the password is named, but not there.
    """
    match sign_in:
        case None:
            return {}
        case IamSignIn():
            return {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "OAUTHBEARER",
                "oauth_cb": partial(_token_of, sign_in.region),
            }
        case ScramSignIn():
            return {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": _MECHANISM,
                "sasl.username": secret(sign_in.user),
                "sasl.password": secret(sign_in.password),
            }


def _token_of(region: str, _: str) -> tuple[str, float]:
    """A signed token of the role, and until when it counts, in seconds since the epoch."""
    # half a second to import, and a laptop has no use for it
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

    token, until_millis = MSKAuthTokenProvider.generate_auth_token(region)
    return token, math.floor(until_millis / 1000)


def _quoted(text: str) -> str:
    """A value of a JAAS configuration."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
