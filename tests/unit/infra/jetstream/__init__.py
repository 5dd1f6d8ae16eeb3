"""The parser of the broker's protocol."""
