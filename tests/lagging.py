"""A reader that replicas answer which have not taken everything yet, as those of a busy cluster are for some milliseconds."""

from typing import Any

from infra.jetstream.reader import Answer, Reader


class LaggingReader(Reader):
    """What comes after `taken` is missing in the next `late` answers to reads of a range, though the log's leader has it."""

    taken = 2**53
    late = 0

    async def _answer(self, log: str, body: dict[str, Any]) -> Answer:
        answer = await super()._answer(log, body)
        if not self.late or "batch" not in body:
            return answer
        self.late -= 1
        return Answer([message for message in answer.messages if message.seq <= self.taken])
