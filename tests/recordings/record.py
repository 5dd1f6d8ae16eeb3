"""Make a recording: everything an encoder sends to a media worker, and the FLV file it wrote beside it.

python -m tests.encoders FOLDER 19351                 a media worker
python -m tests.recordings.record NAME FILE.flv       passes port 19350 on to it
the encoder, to rtmp://127.0.0.1:19350/live/KEY and to FILE.flv, from one muxer:

ffmpeg -f lavfi -i testsrc2=s=64x64:r=10 -f lavfi -i sine=440:r=44100 -t 1.5 -map 0:v -map 1:a -c:v libx264 -bf 2 -g 5
-b:v 60k -c:a aac -b:a 32k -f tee "[f=flv]FILE.flv|[f=flv]rtmp://127.0.0.1:19350/live/KEY"
gst-launch-1.0 flvmux name=mux streamable=true ! tee name=t ! queue ! rtmp2sink location=rtmp://127.0.0.1:19350/live/KEY
t. ! queue ! filesink location=FILE.flv
videotestsrc num-buffers=15 ! video/x-raw,width=64,height=64,framerate=10/1 ! x264enc key-int-max=5 bitrate=60 ! mux.
audiotestsrc num-buffers=60 ! voaacenc bitrate=32000 ! mux.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

from tests.dialogues import RECORDINGS

PORT, UPSTREAM = 19350, 19351


async def record() -> bytes:
    """Pass one connection on and return what came from the encoder."""
    sent = bytearray()
    over = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", UPSTREAM)

        async def answers() -> None:
            while data := await up_reader.read(65_536):
                writer.write(data)

        answering = asyncio.create_task(answers())
        while data := await reader.read(65_536):
            sent.extend(data)
            up_writer.write(data)
        up_writer.close()
        await answering
        writer.close()
        over.set()

    async with await asyncio.start_server(connected, "127.0.0.1", PORT):
        await over.wait()
    return bytes(sent)


def main(name: str, file: Path) -> None:
    """Record, and write the recording."""
    sent = asyncio.run(record())
    made = {"sent": base64.b64encode(sent).decode(), "file": base64.b64encode(file.read_bytes()).decode()}
    (RECORDINGS / f"{name}.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
