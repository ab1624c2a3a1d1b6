"""What servers of objects answer, as errors of the system: by its number it is told what may pass by itself.

obstore says in a text what happened: the status of the answer, and the code that is in it. Of these only status and
code go into a message of ours.
"""

from __future__ import annotations

import errno
import os
import re

from tileconv.retry import spent

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "AuthenticationFailed")
_ANSWERS: tuple[tuple[str, int, str, str], ...] = (
    ("|".join(_EXPIRED), errno.ESTALE, "the credentials have expired", ""),
    (
        "NoSuchBucket|ContainerNotFound|The specified bucket does not exist",
        errno.ENXIO,
        "there is no such bucket",
        "Make the bucket, or correct its name.",
    ),
    (
        "169\\.254\\.169\\.254|metadata\\.google\\.internal|credentials found|credential_process",
        errno.EACCES,
        "found no credentials",
        "Give them in the environment or in a profile, or state storage: {anonymous: true}.",
    ),
    (
        "BadDigest|InvalidDigest|ContentSHA256Mismatch|IncompleteBody|RequestTimeout",
        errno.EIO,
        "what was sent was damaged on the way",
        "",
    ),
    (
        "status code: 40[13]|lacked the necessary privileges|lacked valid authentication",
        errno.EACCES,
        "the server refuses access",
        "See which credentials the environment gives, and what they may do.",
    ),
    (
        "redirect|PermanentRedirect|AuthorizationHeaderMalformed",
        errno.EREMOTE,
        "the bucket lies elsewhere",
        "State its region, as storage: {region: ...}.",
    ),
    ("status code: (5\\d\\d|429)", errno.EIO, "the server is not ready", ""),
    ("error sending request", errno.ECONNREFUSED, "the server cannot be reached", ""),
    ("timed? ?out", errno.ETIMEDOUT, "the server does not answer in time", ""),
    ("body error|decoding|HTTP error|connection", errno.ECONNRESET, "the answer was cut", ""),
    (
        "not implemented|not supported",
        errno.ENOTSUP,
        "the server cannot do that",
        "Copy what lies there to a disk or a bucket.",
    ),
)
"""Words of obstore or of a server, the number of the system that is nearest, ours, and what to do; the first counts."""


def of_expiry(error: Exception) -> bool:
    """Return whether *error* says that credentials were good, and are no more."""
    return any(word in str(error) for word in _EXPIRED)


def system_error_of(error: Exception) -> OSError:
    """Return obstore's *error* as one of the system, in words of ours; it may hold its own advice as ``fix``.

    Examples
    --------
    >>> system_error_of(ValueError("PUT http://host/b/k - status code: 503 Slow: <Code>SlowDown</Code>"))
    OSError(5, 'the server is not ready (503 SlowDown)')
    """
    text = str(error).partition("\nDebug source")[0]
    answer = " ".join(re.findall(r"status code: (\d+)", text)[:1] + re.findall(r"<Code>(\w+)</Code>", text)[:1])
    found = next((one for one in _ANSWERS if re.search(one[0], text)), None)
    if isinstance(error, FileNotFoundError) and (found is None or found[1] != errno.ENXIO):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    _, number, words, fix = found or ("", errno.EPROTO, "the server refuses", "")
    made: OSError = OSError(number, words + f" ({answer})" * bool(answer))
    if fix:
        vars(made)["fix"] = fix
    if re.search(r"after [1-9]\d* retries", text):
        spent(made)
    return made
