"""What a lost node changed: the phases of a run, its outcome, and both as a table with criteria."""

from msgspec import Struct, structs

from bench.results import Result, Table

WANTED_PAGE_S, WANTED_WRITE_S, WANTED_DRAIN = 0.5, 5.0, 5.0
#: Phases: of one node, and of two.
CALM, HUNG, AWAKE, KILLED, STARTING, BACK = "nothing wrong", "one hung", "... awake", "one killed", "... starting", "... back"
TWO, TWO_STARTING, DRAINING = "two killed", "... both starting", "... draining"


class Phase(Struct):
    """What happened between two moments. Times in seconds; `waited` is how long the gateway had work and no core, of 1."""

    name: str
    seconds: float
    archived_per_s: float
    standstill: float
    silence: float
    pages: int
    page_p50: float
    page_p99: float
    refused: dict[int, int]
    posts: int
    post_p99: float
    posts_refused: dict[int, int]
    raw_p50: float
    raw_p99: float
    raw_failed: int
    lag: int
    waited: float


class Outcome(Struct):
    """All of one run."""

    rate: float
    phases: list[Phase]
    #: By fault, in seconds: its phases have too few pages for a quantile of their own to be more than their slowest.
    page_p99: dict[str, float]
    drained: float
    acknowledged: int
    in_log: int
    failed: int
    dead_letters: int
    verified: str
    verify_code: int
    raw_writes: float
    store_writes: float
    alive: bool
    #: How often the viewer had to come back.
    cuts: int
    #: What gateway and archive warned of, without the driver's own words.
    warnings: list[str]


def tell(result: Result, outcome: Outcome) -> None:
    """The phases as a table, and the promises."""
    columns = [
        *("phase", "s", "archived/s", "longest stop s", "pages", "p50 ms", "p99 ms", "refused"),
        *("raw p50 ms", "raw p99 ms", "raw failed", "posts with keys refused", "viewer's longest silence s", "lag", "waited"),
    ]
    rows = [
        [
            *(each.name, f"{each.seconds:.0f}", f"{each.archived_per_s:,.0f}", f"{each.standstill:.1f}", str(each.pages)),
            *(f"{each.page_p50 * 1000:.0f}", f"{each.page_p99 * 1000:.0f}", str(sum(each.refused.values()))),
            *(f"{each.raw_p50 * 1000:.0f}", f"{each.raw_p99 * 1000:.0f}", str(each.raw_failed)),
            *(f"{sum(each.posts_refused.values())} of {each.posts}", f"{each.silence:.1f}", f"{each.lag:,}"),
            f"{each.waited:.2f}",
        ]
        for each in outcome.phases
    ]
    result.tables.append(Table(f"{outcome.rate:g} comments/s", columns, rows))
    one = [each for each in outcome.phases if each.name in (HUNG, AWAKE, KILLED, STARTING, BACK)]
    if one:
        for fault, p99 in outcome.page_p99.items():
            result.want(f"{fault}, and back: pages, p99 s", p99, at_most=WANTED_PAGE_S)
        result.want("one node lost: pages refused", sum(sum(each.refused.values()) for each in one), at_most=0)
        result.want(
            "one node lost: the archive's longest stop, s", max(each.standstill for each in one), at_most=WANTED_WRITE_S
        )
    result.want("acknowledged and not in the log", outcome.acknowledged - outcome.in_log, at_most=0)
    result.want("`ovation verify` ends with", outcome.verify_code, at_most=0)
    result.want("dead letters", outcome.dead_letters, at_most=0)
    result.want("processes of ours that ended", 0 if outcome.alive else 1, at_most=0)
    for each in outcome.phases:
        if each.name == TWO:
            result.want("two nodes lost: the viewer's longest silence, s", each.silence, at_most=WANTED_WRITE_S)
            result.want("two nodes back: drained, times the live rate", outcome.drained / outcome.rate, at_least=WANTED_DRAIN)
    reach = (
        f"drained {outcome.drained:,.0f}/s while {outcome.rate:g}/s came in. On the same three nodes with nothing else to do "
        f"the raw driver writes the same rows in the same batches at {outcome.raw_writes:,.0f}/s, the store at "
        f"{outcome.store_writes:,.0f}/s: here 5 times the live rate is out of any archive's reach above "
        f"{outcome.raw_writes / 5:,.0f} comments/s, since three servers, gateway, archive, log and load share the cores."
    )
    waited = "`waited` is the share of the time in which the gateway had work and no core to do it on: other people's work too."
    cuts = f"the viewer was cut and came back {outcome.cuts} times"
    result.notes += [*outcome.warnings, f"verify: {outcome.verified}", reach, waited, cuts]
    result.rounds = [structs.asdict(outcome)]
