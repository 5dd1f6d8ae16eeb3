"""How often a part is started anew before it is given up. A bad flag once gave 17 starts in 17 seconds."""

#: The second try's delay. The first comes at once: what ran may begin anew with the next keyframe, and lose nothing else.
SECOND_S = 0.25
MOST_S = 8.0
#: A run that lived this long was well; what fails after it fails for the first time.
WELL_S = 30.0


class Patience:
    """Exponential delays, a bounded number of them."""

    def __init__(self, attempts: int) -> None:
        """*attempts* failures in a row are taken."""
        self._attempts = attempts
        self._failures = 0

    def delay(self, lived_s: float) -> float | None:
        """A run ended after *lived_s*: seconds to wait before the next start, `None` to give up."""
        if lived_s >= WELL_S:
            self._failures = 0
        self._failures += 1
        if self._failures > self._attempts:
            return None
        return min(SECOND_S * 2.0 ** (self._failures - 2), MOST_S) if self._failures > 1 else 0.0
