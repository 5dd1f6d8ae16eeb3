"""Why a cluster lets us not in, in words that name the setting to change: TLS, certificates and the login.

The driver hands on whatever its socket said. A reset connection is also what a node that dies leaves behind, so that one
is told as a question.
"""

import ssl

from cassandra import AuthenticationFailed

#: What OpenSSL and the servers say -> what it means. The first that is found holds; `{cause}` is OpenSSL's own reason.
_MEANINGS = (
    ("requires authentication", "asks for a login: set OVATION_STORE_USER and OVATION_STORE_PASSWORD"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "shows a certificate that is not trusted ({cause}): set OVATION_STORE_CA_FILE to the authority that signed it",
    ),
    (
        "CERTIFICATE_REQUIRED",
        "asks for a certificate of ours: set OVATION_STORE_CERTIFICATE_FILE and OVATION_STORE_KEY_FILE to one it trusts",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "does not speak TLS there: check the port, or leave out OVATION_STORE_TLS and the files of certificates",
    ),
    (
        "record layer failure",
        "does not speak TLS there: check the port, or leave out OVATION_STORE_TLS and the files of certificates",
    ),
)


def refusal(error: BaseException, *, tls: bool) -> str | None:
    """What the cluster objects to, and the next step; `None` where *error* is no refusal. *tls*: whether we spoke it."""
    words = str(error)
    for said, meaning in _MEANINGS:
        if said in words:
            cause = words.partition("verify failed: ")[2].partition(" (_ssl")[0] or "it cannot be verified"
            return meaning.format(cause=cause)
    if isinstance(error, AuthenticationFailed):
        return "refuses the login: check OVATION_STORE_USER and OVATION_STORE_PASSWORD"
    if isinstance(error, ssl.SSLError):
        return f"broke TLS off ({words}): does it trust OVATION_STORE_CERTIFICATE_FILE, and speak TLS on this port?"
    if isinstance(error, ConnectionResetError) and not tls:
        return "closed the connection unanswered: if it asks for TLS, set OVATION_STORE_CA_FILE or OVATION_STORE_TLS=true"
    return None
