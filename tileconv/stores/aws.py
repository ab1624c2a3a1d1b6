"""What S3 takes from AWS's own environment and files, beside what obstore reads: endpoints, regions, profiles.

obstore itself reads ``AWS_ACCESS_KEY_ID`` and its like, web identities, and what containers and machines of the cloud
are given, and renews these before they expire. A profile of AWS's files is read here: a session in it is read again
every minute, because another program renews it there.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from configparser import ConfigParser, Error
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tileconv.stores.location import Access

_OTHERS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""What comes before a profile, as with AWS's own tools."""
_KEPT = timedelta(minutes=6)
"""How long keys of a file count as good: obstore asks anew five minutes before the end."""
_WITHIN_S = 60


def endpoint() -> str:
    """Return the endpoint that the environment names; empty for AWS's own."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next(filter(None, map(os.environ.get, names)), "")


def config(bucket: str, access: Access) -> dict[str, Any]:
    """Return what obstore is told of *bucket*."""
    told: dict[str, Any] = {}
    at = access.endpoint or endpoint()
    virtual = access.addressing == "virtual"
    if at:
        scheme, _, host = at.rstrip("/").partition("://")
        told["endpoint"] = f"{scheme}://{bucket}.{host}" if virtual else f"{scheme}://{host}"
    if virtual:
        told["virtual_hosted_style_request"] = True
    stated = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or profile().get("region")
    if region := access.region or stated:
        told["region"] = region
    return told


def provider(access: Access) -> dict[str, Any]:
    """Return what gives obstore the keys of a profile, under its name there; nothing where there is none."""
    if access.anonymous or any(map(os.environ.get, _OTHERS)):
        return {}
    told = profile()
    return {"credential_provider": credential} if {"aws_access_key_id", "credential_process"} & set(told) else {}


def profile() -> dict[str, str]:
    """Return what AWS's files say of the profile that the environment names; ``default`` where it names none."""
    name = os.environ.get("AWS_PROFILE") or "default"
    told: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "~/.aws/config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", name),
    ):
        parser = ConfigParser(interpolation=None, default_section="")
        try:
            parser.read(Path(os.environ.get(variable) or file).expanduser(), "utf-8")
        except (Error, UnicodeDecodeError):  # whose text may hold the key
            continue
        told |= dict(parser[section]) if section in parser else {}
    return told


def credential() -> dict[str, Any]:
    """Return the keys of the profile as obstore takes them, with the time from which they must be read again."""
    told = profile()
    until = datetime.now(UTC) + _KEPT
    if process := told.get("credential_process"):
        made = _made_by(process)
        keys = made["AccessKeyId"], made["SecretAccessKey"], made.get("SessionToken")
        until = datetime.fromisoformat(made["Expiration"]) if "Expiration" in made else until
    else:
        keys = told["aws_access_key_id"], told["aws_secret_access_key"], told.get("aws_session_token")
    return {"access_key_id": keys[0], "secret_access_key": keys[1], "token": keys[2], "expires_at": until}


def _made_by(process: str) -> dict[str, Any]:
    try:
        words = shlex.split(process)  # of the user's own file
        done = subprocess.run(words, capture_output=True, check=True, timeout=_WITHIN_S)  # noqa: S603
        made: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise OSError(f"credential_process gives no keys: {type(error).__name__}") from None
    return made
