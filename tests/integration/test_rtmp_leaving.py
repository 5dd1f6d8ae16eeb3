"""How an encoder's connection ended, as the broadcast is told."""

from collections.abc import Callable

from tests.dialogues import AAC_HEADER
from tests.rtmp import Publisher, command
from tests.rtmp_port import listening
from tests.waits import eventually

WAYS: list[Callable[[Publisher], None]] = [
    lambda each: each.writer.write(command("deleteStream", 4.0, None, 1.0)),
    lambda each: each.writer.close(),
    lambda _: None,
    lambda each: each.send(9, b"\x12\x01\x00\x00\x00\x00"),
]


async def test_how_an_encoder_went_is_told_apart() -> None:
    """It said so, its connection ended without a word, it fell silent, or it was cut, with the words it was told."""
    async with listening() as port:
        for go in WAYS:
            before, publisher = len(port.stage.left), await port.peer()
            await publisher.publish("good")
            publisher.send(8, AAC_HEADER)
            go(publisher)
            await eventually(lambda before=before: len(port.stage.left) > before)  # type: ignore[misc]  # the loop's own number
        assert [each.reason for each in port.stage.left] == ["closed", "lost", "timed_out", "cut"]
        assert [bool(each.text) for each in port.stage.left] == [False, False, False, True]
        assert "H.264" in port.stage.left[-1].text
