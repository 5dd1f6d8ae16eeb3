"""What a service that speaks S3 says when it refuses, with the next step. Nothing of a request is repeated, no key either."""

import re

from obstore.exceptions import BaseError

from infra.errors import Unavailable

#: Seconds a caller should leave between tries; a key or a bucket takes a person.
RETRY_S = 5
_CODE = re.compile(r"<Code>(\w{1,64})</Code>|\(code: (\w{1,64})\)")
_STATUS = re.compile(r"status code: (\d{3})")
_KEYS = "OVATION_S3_ACCESS_KEY_ID and OVATION_S3_SECRET_ACCESS_KEY"
#: What a service says in words of its own, by the code in its answer.
_CODES = {
    "NoSuchBucket": "has no bucket {bucket}: make it, or correct OVATION_MEDIA_URL",
    "InvalidBucketName": "takes {bucket} for no name of a bucket: correct OVATION_MEDIA_URL",
    "InvalidAccessKeyId": f"does not know the access key: correct {_KEYS}",
    "SignatureDoesNotMatch": f"says that the secret does not belong to the access key: correct {_KEYS}",
    "ExpiredToken": "says that the credentials have expired: renew them",
    "RequestTimeTooSkewed": "says that this machine's clock is wrong: set it",
    "AuthorizationHeaderMalformed": "expects another region: set OVATION_S3_REGION",
    "PermanentRedirect": "has bucket {bucket} elsewhere: set OVATION_S3_REGION, or OVATION_S3_ENDPOINT",
    "SlowDown": "is asked for too much at once",
    "QuotaExceeded": "has no room left for bucket {bucket}: free space, or raise its quota",
}
#: Where AWS's machines ask for the keys of their role: asked when there are no others.
_ROLES = "169.254.169.254"
#: What the client says when there is no answer, by a word in its report.
_REPORTS = (
    ("ConnectionRefused", "does not take connections: see whether it runs, or correct OVATION_S3_ENDPOINT"),
    ("dns error", "is at a name that nobody knows: correct OVATION_S3_ENDPOINT"),
    (
        "certificate",
        "shows a certificate that this machine does not trust: correct OVATION_S3_ENDPOINT, or install its authority",
    ),
    ("TimedOut", "has not answered in time: see whether it runs and can be reached"),
)


def code_of(error: BaseException) -> str:
    """The code in a service's answer, `416` and the like where it has none; empty where nobody answered."""
    text = str(error)
    if found := _CODE.search(text):
        return found[1] or found[2]
    return found[1] if (found := _STATUS.search(text)) else ""


def unavailable(service: str, bucket: str, error: BaseException) -> Unavailable:
    """What *error* means for the objects in *bucket* of *service*, which is an address."""
    code, text = code_of(error), str(error)
    if _ROLES in text:
        said = f"finds no credentials: set {_KEYS}, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role"
    elif code in _CODES:
        said = _CODES[code].format(bucket=bucket)
    elif code in ("AccessDenied", "403", "401"):
        said = f"refuses: see that bucket {bucket} exists, and that the key may list, read, write and delete in it ({_KEYS})"
    elif code:
        said = f"answers {code}: see its log"
    else:
        said = next((said for word, said in _REPORTS if word in text), f"cannot be reached ({type(error).__name__})")
    return Unavailable(f"S3 at {service} {said}", RETRY_S)


#: What obstore raises for a request that came to nothing; FileNotFoundError of a bucket that is not there among them.
REFUSALS = (BaseError, OSError)
