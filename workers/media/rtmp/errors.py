"""What goes wrong with a peer."""


class ProtocolError(Exception):
    """The peer broke the protocol or one of our bounds; what follows cannot be understood. Close the connection."""
