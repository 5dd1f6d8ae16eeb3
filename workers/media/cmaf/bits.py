"""Bits and Exp-Golomb numbers (ITU-T H.264, 9.1)."""


class EndOfBits(ValueError):
    """There are no more."""


class Bits:
    """Read from the first byte's highest bit on."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        """The next *count* bits as a number.

        Raises:
            EndOfBits: there are fewer.
        """
        if count > self._left:
            msg = f"{count} bits wanted, {self._left} left"
            raise EndOfBits(msg)
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def unsigned(self) -> int:
        """ue(v).

        Raises:
            EndOfBits: it does not end.
        """
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """se(v).

        Raises:
            EndOfBits: it does not end.
        """
        number = self.unsigned()
        return (number + 1) // 2 if number % 2 else -(number // 2)
