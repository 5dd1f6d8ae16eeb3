"""The row in force: one gateway decides, all follow; steps down wait; slow delivery samples by itself."""

from gateway.fanout.degradation import Degradation
from infra.clock import HandClock
from infra.environment import load

TABLE = {"OVATION_POLICY": "0:0:1000:1:0,100:100:500:1:20,1000:250:100:0.5:20", "OVATION_SAMPLE_FROM": "100"}


def _gateways(*names: str, **environ: str) -> tuple[HandClock, list[Degradation]]:
    clock, settings = HandClock(), load({**TABLE, **environ})
    return clock, [Degradation(name, settings, clock) for name in names]


def _second(clock: HandClock, gateways: list[Degradation], viewers: int, ms: float = 10.0, inflow: float = 5.0) -> int:
    """One tick of all gateways; returns how many messages they exchanged."""
    clock.advance(1.0)
    told = [message for each in gateways for message in each.tick(viewers, ms, inflow)]
    for each in gateways:
        for message in told:
            assert each.take(message)
    return len(told)


def test_small_streams_say_nothing() -> None:
    """Below the second row there is nothing to agree on: no messages, everything is shown."""
    clock, gateways = _gateways("a", "b")

    assert _second(clock, gateways, viewers=99, inflow=1000) == 0
    assert all(not each.in_force.samples and each.in_force.interval_ms == 50 for each in gateways)


def test_a_first_row_that_leaves_something_out_holds_for_everybody() -> None:
    """Whoever writes a rate or a number per second for 0 viewers means small streams as well, from their first comment."""
    for row, at_once, share in (("0:0:1000:0.5:0", (0.5, 0), 0.5), ("0:0:1000:1:20", (1.0, 20), 0.2)):
        clock, [one] = _gateways("a", OVATION_POLICY=row)
        assert (one.in_force.share, one.in_force.per_s) == at_once
        _second(clock, [one], viewers=1, inflow=100)
        assert one.in_force.share == share


def test_all_gateways_follow_one() -> None:
    """The first by name decides; the others have its row, whatever they measured themselves."""
    clock, gateways = _gateways("b", "a", "c")
    for _ in range(3):
        _second(clock, gateways, viewers=500, inflow=100)

    assert {each.in_force for each in gateways} == {gateways[1].in_force}
    assert (gateways[0].in_force.by, gateways[0].in_force.row, gateways[0].in_force.interval_ms) == ("a", 1, 100)
    assert gateways[0].in_force.share == 0.2


def test_another_decides_when_the_first_falls_silent() -> None:
    """A gateway that was killed does not keep its row in force."""
    clock, gateways = _gateways("a", "b")
    for _ in range(2):
        _second(clock, gateways, viewers=500, inflow=100)
    for _ in range(5):
        _second(clock, gateways[1:], viewers=500, inflow=40)

    assert (gateways[1].in_force.by, gateways[1].in_force.share) == ("b", 0.5)


def test_down_only_well_below_the_threshold() -> None:
    """A crowd at the edge does not make the row flap."""
    clock, [one] = _gateways("a")
    rows = []
    for viewers in (1000, 990, 850, 810, 1000, 790, 99, 81, 79):
        _second(clock, [one], viewers)
        rows.append(one.in_force.row)

    assert rows == [2, 2, 2, 2, 2, 1, 1, 1, 0]


def test_slow_delivery_samples_and_fast_delivery_ends_it() -> None:
    """Three slow seconds halve what is shown, ten fast ones double it again; a single slow one does nothing."""
    clock, [one] = _gateways("a", OVATION_POLICY="0:0:1000:1:0")
    _second(clock, [one], 500, ms=5000)
    assert not one.in_force.samples
    for _ in range(5):
        _second(clock, [one], 500, ms=5000)
    assert one.in_force.share == 0.25
    for _ in range(20):
        _second(clock, [one], 500, ms=100)
    assert not one.in_force.samples


def test_few_viewers_are_never_sampled_by_themselves() -> None:
    """A slow laptop with ten viewers shows everything."""
    clock, [one] = _gateways("a")
    for _ in range(10):
        _second(clock, [one], 99, ms=60_000)

    assert not one.in_force.samples


def test_a_limit_is_in_force_before_it_is_reached() -> None:
    """A stream that is slow now is watched by cohorts all the same: its next second may have two thousand comments."""
    clock, [one] = _gateways("a")
    _second(clock, [one], viewers=500, inflow=15)

    assert (one.in_force.share, one.in_force.per_s) == (1.0, 20)
    assert one.in_force.samples


def test_other_pulses_are_not_taken() -> None:
    """What is no message of this part is left to the others."""
    _, [one] = _gateways("a")

    assert not one.take(b'{"reactions":{"like":1},"totals":{}}')
    assert one.take(b'{"kind":"policy","broken')
