"""A stream of ours, read by the conformance client for minutes: what breaks the rules of Low-Latency HLS.

python -m bench.conformance --seconds 300
"""

import asyncio

from bench import results
from bench.broadcast import broadcast
from bench.options import Options, parse, parser
from bench.results import Table
from tests.hls.client import Report, check


async def run(options: Options) -> Report:
    """Read a broadcast with three renditions."""
    settings = {"transcode_heights": "480,360", **options.settings}
    async with broadcast(settings=settings) as made:
        # A rendition is listed with its first segments.
        await asyncio.sleep(4)
        return await check(made.master, options.seconds)


def main() -> None:
    """Run the command line."""
    options = parse(parser("conformance", __doc__, viewers=1, seconds=300.0, rounds=1))
    result = results.begin("conformance", "Conformance", options, seconds=options.seconds)
    report = asyncio.run(run(options))
    rows = [[what, str(count)] for what, count in sorted(report.looked.items())]
    result.tables.append(Table("Looked at", ["what", "times"], rows))
    result.notes += report.broken[:50]
    result.want("violations", len(report.broken), at_most=0)
    result.finish()


if __name__ == "__main__":
    main()
