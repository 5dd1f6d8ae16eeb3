"""What goes wrong with a peer."""


class ProtocolError(Exception):
    """The peer broke the protocol or one of our bounds; what follows cannot be understood. Close the connection."""


class Refused(Exception):
    """What the peer sends is understood and not taken. The text is for the broadcaster; *reason* is the metric's label."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
