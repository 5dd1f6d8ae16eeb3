"""What a text may be: normalised once, in one place, for comments, names and titles."""

import re
import unicodedata

from gateway.problems import Problem

MAX_COMMENT = 500
MAX_NAME = 40
MAX_TITLE = 500

_LINE_BREAKS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
#: Bidirectional controls (a name or text must not reorder what stands around it), zero-width spaces and marks, soft hyphen,
#: the byte order mark, invisible operators and the Hangul fillers.
_INVISIBLE = re.compile(
    "[\u061c\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufff9-\ufffb\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u3164\ufeff\uffa0]"
)
#: Most texts: nothing to strip but spaces at the ends, nothing to compose, nothing to refuse.
_PLAIN = re.compile(r"[\x20-\x7e]*")
#: The categories Cc and Cs.
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_WORD = re.compile(r"[^\W_]+")
#: Kept between emoji; anywhere else it is one more invisible character to hide a word with.
_JOINER = "\u200d"


def normalised(text: str, *, field: str, longest: int) -> str:
    """Trim, NFC, line breaks to spaces, invisible characters out; joiners stay between emoji.

    Raises:
        Problem: VALIDATION, for other control characters, lone surrogates, or nothing (or too much) left over.
    """
    found = text.strip(" ") if _PLAIN.fullmatch(text) else _composed(text, field)
    if not 1 <= len(found) <= longest:
        raise Problem("VALIDATION", f"{field} must be 1-{longest} characters, and is {len(found)}.", field=field)
    return found


def cleaned(text: str, *, longest: int) -> str:
    """The same for what came from elsewhere and nobody can correct here: what would be refused is left out; may be empty."""
    if _PLAIN.fullmatch(text):
        return text.strip(" ")[:longest].rstrip(" ")
    return _composed(_REFUSED.sub("", _LINE_BREAKS.sub(" ", text)), "")[:longest].rstrip()


def _composed(text: str, field: str) -> str:
    found = unicodedata.normalize("NFC", _INVISIBLE.sub("", _LINE_BREAKS.sub(" ", text)))
    if (refused := _REFUSED.search(found)) is not None:
        raise Problem("VALIDATION", f"{field} holds the control character U+{ord(refused[0]):04X}.", field=field)
    return (_joined(found) if _JOINER in found else found).strip()


def _joined(text: str) -> str:
    """Drop joiners that do not stand between two emoji."""
    kept: list[str] = []
    for index, character in enumerate(text):
        if character == _JOINER and not (kept and _pictorial(kept[-1]) and _pictorial(text[index + 1 : index + 2])):
            continue
        kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept))


def _pictorial(character: str) -> bool:
    """Whether an emoji sequence may have *character* beside a joiner: pictures, arrows, skin tones, the emoji selector."""
    return character > "\u2000" and (character == "\ufe0f" or unicodedata.category(character) in ("So", "Sk", "Sm"))


def folded(text: str) -> str:
    """A text as banned words are compared: compatibility forms, case and marks folded away."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf", "Me"))


def banned_word(text: str, banned: list[str]) -> str | None:
    """The first banned word or phrase that stands in *text* as whole words."""
    if not banned:
        return None
    words = _words(text)
    return next((each for each in banned if (wanted := _words(each)).strip() and wanted in words), None)


def _words(text: str) -> str:
    """The words of a folded text, each between two spaces."""
    return " " + " ".join(_WORD.findall(folded(text))) + " "
