"""The selection's decisions, driven by events: what is found is given instead of measured."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_parts import (
    REFERENCE,
    Given,
    Play,
    accurate,
    candidate,
    entries_for,
    fast,
    measurements,
    terms,
)

from edgeopt.decide.events import DeviceFailed, DeviceLost, NotRaced, Raced, Scored
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.selection import Selection
from edgeopt.decide.steps import Announce, Done, Race, Score
from edgeopt.schema.constraint import parse_constraint
from edgeopt.schema.errors import DeviceError, UnreachableError

BROKE = {"what": "the race failed", "where": "race", "type": "WorkerError"}


def test_the_fastest_that_keeps_the_bounds_is_chosen_and_each_other_has_its_reason() -> None:
    play = Play(
        {
            "reference": REFERENCE,
            "slow": candidate(1.2),
            "good": candidate(0.5, test=accurate(0)),
            "runner-up": candidate(0.6),
            "third": candidate(0.7),
            "bad": candidate(0.3, points=-3),
            "unsure": candidate(0.3, points=-1),
            "broken": {},
        }
    )
    decision = play.run()
    assert decision.verdict == "chosen" and decision.exit_code == 0
    assert decision.chosen == "good"
    assert play.statuses(decision) == {
        "reference": "reference", "slow": "screened", "good": "chosen", "runner-up": "screened",
        "third": "screened", "bad": "infeasible", "unsure": "inconclusive", "broken": "failed",
    }  # fmt: skip
    assert "bad" not in (*play.done("short"), *play.done("full"))
    assert play.done("test") == ["good"]
    assert all(play.reason(id, decision) for id in play.ledger.entries)


def test_the_winner_is_chosen_on_validation_and_refused_on_test() -> None:
    play = Play(
        {
            "reference": REFERENCE,
            "good": candidate(0.5, test=accurate(-4)),
            "next": candidate(0.6, test=accurate(0)),
        }
    )
    decision = play.run()
    assert decision.verdict == "refused-on-test" and decision.exit_code == 3
    assert play.done("test") == ["good"], "no second pick"
    assert "on the test split" in decision.sentence


def test_a_test_split_that_decides_nothing_is_inconclusive() -> None:
    decision = Play({"reference": REFERENCE, "good": candidate(0.5, test=accurate(-0.9))}).run()
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 4)


def test_without_a_test_split_the_result_says_so() -> None:
    decision = Play({"reference": REFERENCE, "good": candidate(0.5)}).run()
    assert decision.verdict == "chosen"
    assert "not tested" in decision.sentence
    assert decision.test == {"not_tested": "not tested: the data has no test split"}


@pytest.mark.parametrize(("points", "verdict", "code"), [(-3, "unmet", 3), (-1, "inconclusive", 4)])
def test_where_none_is_feasible_the_nearest_miss_is_named(
    points: float, verdict: str, code: int
) -> None:
    play = Play(
        {
            "reference": REFERENCE,
            "far": candidate(0.5, points=-9),
            "near": candidate(0.6, points=points),
        }
    )
    decision = play.run()
    assert (decision.verdict, decision.exit_code) == (verdict, code)
    assert decision.nearest_miss == "near"
    assert "near" in decision.sentence and decision.chosen is None


def test_a_runner_up_that_wins_the_direct_race_is_chosen() -> None:
    play = Play(
        {
            "reference": REFERENCE,
            "first": candidate(0.50, short=fast(0.50, 0.05)),
            "second": candidate(
                0.51,
                short=fast(0.51, 0.05),
                **{"head-to-head": {"ratio.latency.p50": (0.9, 0.88, 0.92)}},
            ),
        }
    )
    decision = play.run()
    assert decision.chosen == "second"
    assert play.done("final") == ["first", "second"]
    turned = play.ledger.head_to_head("first", "second", "ratio.latency.p50")
    assert turned is not None
    low, high = turned.interval
    assert low > 1.0 and high == pytest.approx(1 / 0.88)


def test_a_winner_whose_fresh_figure_breaks_a_bound_gives_way() -> None:
    play = Play(
        {
            "reference": REFERENCE,
            "lucky": candidate(0.5, final=fast(0.9)),
            "steady": candidate(0.6),
        },
        terms(parse_constraint("latency.p50 <= 0.7x source")),
    )
    assert play.run().chosen == "steady"


def test_who_is_proven_slower_takes_no_more_processes() -> None:
    names = [f"c{n}" for n in range(6)]
    play = Play(
        {"reference": REFERENCE} | {name: candidate(0.5 + n / 20) for n, name in enumerate(names)}
    )
    play.run()
    assert play.done("short") == names
    assert play.done("final") == ["c0"]


def test_nobody_goes_by_the_point_of_a_wide_interval() -> None:
    """Guards against a noisy race of three processes that screens the fastest out."""
    noisy = {"ratio.latency.p50": (0.58, 0.37, 0.90)}
    truth = {"5 processes": noisy, "9 processes": fast(0.32, 0.003)}
    play = Play(
        {
            "reference": REFERENCE,
            "fastest": candidate(0.58, short=noisy, final=fast(0.32, 0.003), **truth),
            **{f"good {n}": candidate(0.4 + n / 100, short=fast(0.4 + n / 100)) for n in range(4)},
        }
    )
    decision = play.run()
    assert decision.chosen == "fastest"
    assert play.done("short").count("fastest") == 4, "it raced on, to 9 processes"
    assert "the best measured artifact" in decision.sentence


def test_of_those_within_two_percent_the_smaller_file_is_chosen_and_the_tie_told() -> None:
    figures = {
        "reference": REFERENCE,
        "fast": candidate(0.400, short=fast(0.400, 0.002)),
        "small": candidate(0.401, short=fast(0.401, 0.002)),
        "slow": candidate(0.5, short=fast(0.5, 0.002)),
    }
    play = Play(figures, sizes={"fast": 900, "small": 500, "slow": 100})
    decision = play.run()
    assert decision.chosen == "small"
    assert decision.sentence.startswith("small is tied with fast, and smaller")
    assert play.status("slow", decision) == "screened"
    assert not play.done("head-to-head"), "they are told apart as far as is asked"


def test_a_machine_too_noisy_to_tell_is_told_with_the_processes_that_were_taken() -> None:
    figures = {
        "reference": REFERENCE,
        "a": candidate(0.40, short=fast(0.40, 0.1)),
        "b": candidate(0.45, short=fast(0.45, 0.1)),
        "c": candidate(0.95, short=fast(0.95, 0.1)),
    }
    figures["b"]["head-to-head"] = {"ratio.latency.p50": (1.1, 0.9, 1.3)}
    play = Play(figures, sizes={"a": 900, "b": 100})
    decision = play.run()
    rounds = play.done("short")
    assert rounds.count("a") == rounds.count("b") == 7, "3 processes, and 2 more six times"
    assert rounds.count("c") == 1
    assert play.done("head-to-head"), "a direct race is the last resort"
    assert decision.chosen == "a", "b is smaller, and may be 30% slower: that is no tie"


def test_a_bound_on_time_that_is_open_takes_more_processes_instead_of_being_lost() -> None:
    bound = parse_constraint("latency.p50 <= 0.45x source")
    figures = {
        "reference": REFERENCE,
        "near": candidate(0.44, **{"7 processes": fast(0.44, 0.005)}, short=fast(0.44, 0.03)),
        "other": candidate(0.7),
    }
    figures["near"]["final"] = fast(0.44, 0.005)
    play = Play(figures, terms(bound))
    assert play.run().chosen == "near"
    play = Play(figures, terms(bound, objective="size"), sizes={"near": 9, "reference": 9})
    assert play.run().chosen == "near"


def test_past_its_time_limit_nothing_more_races() -> None:
    play = Play({"reference": REFERENCE, "good": candidate(0.5)}, late=True)
    decision = play.run()
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 4)
    assert "time ran out" in decision.sentence
    assert play.status("good", decision) == "unmeasured"
    assert play.given.done == [("validation", "reference"), ("validation", "good")]


def test_a_time_limit_between_races_keeps_what_was_raced() -> None:
    figures = {"reference": REFERENCE, "a": candidate(0.5), "b": candidate(0.4)}
    play = Play(figures, terms(quick=True), late_after=4)  # three scores and a race
    decision = play.run()
    assert play.done("short") == ["a"]
    assert decision.chosen == "a"
    assert "not compared with b, because time ran out" in decision.sentence


def test_quick_races_once_and_still_tests() -> None:
    play = Play(
        {"reference": REFERENCE, "good": candidate(0.5, test=accurate(0)), "b": candidate(0.9)},
        terms(quick=True),
    )
    assert play.run().verdict == "chosen"
    assert {name for name, _ in play.given.done} == {"validation", "short", "test"}


def test_of_ties_of_one_size_the_better_answers_win_and_the_sentence_says_so() -> None:
    figures = {
        "reference": REFERENCE,
        "worse": candidate(0.400, -0.2, short=fast(0.400, 0.002)),
        "better": candidate(0.402, 0.1, short=fast(0.402, 0.002)),
    }
    play = Play(figures, sizes={"worse": 9, "better": 9, "reference": 99})
    decision = play.run()
    assert decision.chosen == "better"
    assert "both are the same size, and the other has no better accuracy" in decision.sentence
    assert play.reason("worse", decision).startswith("a tie with the chosen, which is of the same")


def test_a_tie_that_would_come_first_but_may_be_slower_is_told_with_by_how_much() -> None:
    figures = {
        "reference": REFERENCE,
        "chosen": candidate(0.400, -0.2, short=fast(0.400, 0.002)),
        "better": candidate(0.401, 0.1, short=fast(0.401, 0.02)),
    }
    figures["better"]["head-to-head"] = {"ratio.latency.p50": (1.0, 0.97, 1.03)}
    play = Play(figures, sizes={"chosen": 9, "better": 9, "reference": 99})
    decision = play.run()
    assert decision.chosen == "chosen"
    assert "head to head; it is better by accuracy, but may take 3.0% longer)" in decision.sentence


def test_the_front_and_the_reasons_are_of_one_kind_of_race() -> None:
    """The fresh figure of the winner is no figure to compare others with."""
    figures = {
        "reference": REFERENCE,
        "best": candidate(0.400, 0.1, short=fast(0.400, 0.002), final=fast(0.42, 0.002)),
        "slow": candidate(0.43, short=fast(0.43, 0.002)),
    }
    play = Play(figures)
    decision = play.run()
    assert decision.chosen == "best"
    record = play.ledger["best"]
    assert record.measured["ratio.latency.p50"].value == 0.42
    assert record.comparable["ratio.latency.p50"].value == 0.4
    assert record.comparable["latency.p50"].value == 0.4, "time and ratio are of one race"
    assert record.comparable["accuracy"] == record.measured["accuracy"]
    assert play.standings.front() == {"best"}
    assert "1.07x (1.07 to 1.08x) the chosen's p50 latency" in play.reason("slow", decision)


def test_overlapping_intervals_that_are_proven_apart_show_the_interval_that_proves_it() -> None:
    figures = {
        "reference": REFERENCE,
        "best": candidate(0.650, short=fast(0.650, 0.04)),
        "slow": candidate(0.690, short=fast(0.690, 0.04)),
    }
    play = Play(figures)
    decision = play.run()
    (_, most), (least, _) = (
        play.ledger[id].measured["ratio.latency.p50"].interval for id in ("best", "slow")
    )
    assert play.status("slow", decision) == "screened" and least < most
    assert "1.06x (1.01 to 1.12x, wide) the chosen's" in play.reason("slow", decision)


def test_each_phase_of_races_is_announced() -> None:
    faster = {"ratio.latency.p50": (0.5, 0.49, 0.51)}
    play = Play({"reference": REFERENCE, "a": candidate(0.5, settings=faster)}, terms(settings=3))
    play.run()
    assert play.announced == [
        "Scoring on the validation split",
        "Racing 1 candidate against the reference",
        "Racing the best against themselves, under up to 1 other setting of the runtime",
        "Racing 1 candidate under the settings that were faster",
        "Measuring the peak memory of 1 candidate",
        "Timing the winner afresh beside the reference",
    ]


def test_without_races_the_smallest_of_the_feasible_is_chosen_and_tested() -> None:
    figures = {
        "reference": REFERENCE,
        "fast": candidate(0.5, test=accurate(0)),
        "small": candidate(0.9, test=accurate(0)),
        "bad": candidate(0.3, points=-3),
    }
    asked = terms(objective="size", raced=False)
    play = Play(figures, asked, sizes={"fast": 900, "small": 500, "bad": 100})
    decision = play.run()
    assert (decision.verdict, decision.chosen) == ("chosen", "small")
    assert {name for name, _ in play.given.done} == {"validation", "test"}, "no race"
    assert "no race was run and no time was taken" in decision.sentence
    assert play.status("bad", decision) == "infeasible"
    assert play.status("fast", decision) == "lost"
    assert "0.90x the reference's, the chosen's 0.50x" in play.reason("fast", decision)


def test_without_races_an_objective_that_is_scored_decides() -> None:
    figures = {"reference": REFERENCE, "exact": candidate(0.9), "near": candidate(0.5, points=-0.5)}
    play = Play(figures, terms(objective="accuracy", raced=False))
    assert play.run().chosen == "exact"
    assert not play.done("short")


def test_without_races_nobody_may_be_feasible() -> None:
    figures = {"reference": REFERENCE, "bad": candidate(0.5, points=-3)}
    decision = Play(figures, terms(objective="size", raced=False)).run()
    assert (decision.verdict, decision.nearest_miss) == ("unmet", "bad")


def test_a_bound_on_memory_is_measured_in_a_quick_run_too() -> None:
    bound = parse_constraint("memory.peak <= 8.5 MB")
    play = Play({"reference": REFERENCE, "good": candidate(0.5)}, terms(bound, quick=True))
    assert play.run().verdict == "chosen"


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    play = Play(
        {
            "reference": REFERENCE,
            "fast": candidate(0.5, points=-0.5),
            "exact": candidate(0.8, points=0.0),
            "neither": candidate(0.9, points=-0.6),
        }
    )
    play.run()
    assert play.standings.front() == {"fast", "exact"}


@pytest.mark.parametrize("quick", [True, False])
def test_memory_can_be_the_objective(quick: bool) -> None:
    play = Play(
        {
            "reference": REFERENCE,
            "fast": candidate(0.5, memory=9e6),
            "small": candidate(0.9, memory=5e6),
        },
        terms(objective="memory.peak", quick=quick),
    )
    assert play.run().chosen == "small"


def test_of_several_runtimes_one_is_chosen_and_named_and_bounds_may_name_one() -> None:
    slower = {"head-to-head": {"ratio.latency.p50": (1.67, 1.65, 1.69)}}
    figures = {
        "reference": REFERENCE,
        "in litert": candidate(0.3, test=accurate(0)),
        "in openvino": candidate(0.5, test=accurate(0), **slower),
    }
    decision = Play(figures, terms(target="local/*")).run()
    assert decision.chosen == "in litert"
    assert decision.sentence.startswith("litert: in litert is the best")
    on_one = parse_constraint("latency.p50 <= 0.1x source", on="local/litert")
    play = Play(figures, terms(on_one, target="local/*"))
    decision = play.run()
    assert decision.chosen == "in openvino"
    assert play.status("in litert", decision) == "infeasible"


# -- settings that targets leave open


def test_finalists_race_under_settings_and_ship_with_those_that_win() -> None:
    """A finalist that is faster under a setting wins by it, its answers judged under it."""
    faster = {"ratio.latency.p50": (0.5, 0.49, 0.51)}
    figures = {
        "reference": REFERENCE,
        "first": candidate(0.50, short=fast(0.50, 0.05)),
        "second": candidate(0.51, short=fast(0.51, 0.05), settings=faster, test=accurate(0)),
        "slow": candidate(0.9, settings=faster),
    }
    play = Play(figures, terms(settings=3))
    found = play.given.raced

    def raced(race: Race) -> Any:
        tuned = bool(play.ledger.entries[race.first].settings)
        event = found(race)
        if not tuned or not isinstance(event, Raced) or race.purpose == "settings":
            return event
        return Raced(race, *(measurements(fast(0.25), race.processes or 5) for _ in "ab"),
                     ratios=measurements({"ratio.latency.p50": (0.25, 0.24, 0.26)}, 5))  # fmt: skip

    play.given.raced = raced  # type: ignore[method-assign]
    decision = play.run()
    assert decision.chosen == "second"
    assert play.ledger.entries["second"].settings == {"opt": "extended"}
    assert play.done("settings") == ["first", "second"], "the beaten race under none"
    trials = {id: play.ledger[id].tried for id in figures}
    assert [t.taken for t in trials["second"]] == [True]
    assert [t.taken for t in trials["first"]] == [False] and not trials["slow"]
    assert ("validation {'opt': 'extended'}", "second") in play.given.done


def test_settings_whose_answers_fail_are_not_taken_and_none_are_raced_where_none_are_asked() -> (
    None
):
    faster = {"ratio.latency.p50": (0.5, 0.49, 0.51)}
    wrong = {"validation {'opt': 'extended'}": accurate(-9)}
    figures = {"reference": REFERENCE, "a": candidate(0.5, settings=faster) | wrong}
    play = Play(figures, terms(settings=3))
    assert play.run().chosen == "a"
    assert play.ledger.entries["a"].settings == {}
    assert "misses" in play.ledger["a"].tried[0].reason
    for asked in (terms(settings=0), terms(settings=3, quick=True)):
        play = Play(figures, asked)
        play.run()
        assert not play.done("settings")


# -- races that fail


def test_a_winner_whose_fresh_race_fails_gives_way_to_the_next() -> None:
    play = Play(
        {"reference": REFERENCE, "best": candidate(0.5, final=BROKE), "next": candidate(0.6)}
    )
    decision = play.run()
    assert decision.verdict == "chosen" and decision.chosen == "next"
    assert play.status("best", decision) == "failed"
    assert play.done("final") == ["best", "next"]


def test_where_every_finalist_fails_afresh_nobody_is_chosen() -> None:
    figures = {"reference": REFERENCE} | {
        id: candidate(ratio, final=BROKE) for id, ratio in (("a", 0.5), ("b", 0.6))
    }
    decision = Play(figures).run()
    assert decision.verdict == "failed" and decision.chosen is None
    assert "the race failed" in decision.sentence


def test_a_head_to_head_that_fails_leaves_the_best_chosen() -> None:
    level = {id: candidate(0.5, short=fast(0.5, 0.05)) for id in "ab"}
    selection, steps = started({"reference": REFERENCE, **level})
    found = Given({"reference": REFERENCE, **level})
    while not isinstance(step := steps.pop(0), Done):
        if isinstance(step, Score):
            for event in found.scored(step):
                steps += selection.tell(event)
        elif isinstance(step, Race):
            lost = step.purpose == "head-to-head"
            steps += selection.tell(NotRaced(step, BROKE) if lost else found.raced(step))
    assert step.decision.chosen == "a"
    assert selection.standings.failed("b")


def test_a_runner_up_that_does_not_hold_afresh_leaves_the_best_chosen() -> None:
    faster = {"head-to-head": {"ratio.latency.p50": (0.9, 0.88, 0.92)}}
    figures = {
        "reference": REFERENCE,
        "best": candidate(0.50),
        "second": candidate(0.51, final=BROKE, **faster),
    }
    assert Play(figures).run().chosen == "best"


# -- devices that are lost, and events that nobody asked for


def started(figures: Mapping[str, dict[str, Any]]) -> tuple[Selection, list[Any]]:
    selection = Selection(terms(), Ledger(entries_for(figures), "reference"))
    return selection, selection.start()


@pytest.mark.parametrize(
    ("event", "verdict"),
    [
        (DeviceLost(UnreachableError("it went away", where="ssh:board")), "unreachable"),
        (DeviceFailed(DeviceError("no runtime\nthere", where="ssh:board")), "failed"),
    ],
)
def test_a_device_that_is_lost_or_fails_ends_it(event: Any, verdict: str) -> None:
    selection, _ = started({"reference": REFERENCE, "a": candidate(0.5)})
    (step,) = selection.tell(event)
    assert isinstance(step, Done) and step.decision.verdict == verdict
    assert selection.state == "done"
    with pytest.raises(ValueError, match="is done"):
        selection.tell(event)


def test_scores_are_awaited_all_before_anything_races() -> None:
    figures = {"reference": REFERENCE, "a": candidate(0.5)}
    selection, (announced, step) = started(figures)
    assert isinstance(announced, Announce) and isinstance(step, Score)
    assert step.ids == ("reference", "a")
    *all_but_one, last = Given(figures).scored(step)
    assert [selection.tell(event) for event in all_but_one] == [[], []]
    assert selection.tell(last)


def test_what_nobody_asked_for_is_an_error() -> None:
    figures = {"reference": REFERENCE, "a": candidate(0.5)}
    selection, (_, step) = started(figures)
    race = Race("a", "reference", "short")
    for stray in (
        Raced(race, {}, {}, {}),
        Scored("validation", "stranger", {}),
        Scored("test", "a", {}),
    ):
        with pytest.raises(ValueError, match="was asked for"):
            selection.tell(stray)
    event = Given(figures).scored(step)[1]
    selection.tell(event)
    with pytest.raises(ValueError, match="was asked for"):
        selection.tell(event)
    with pytest.raises(ValueError, match="not new"):
        selection.start()


# -- laws

RATIOS = st.floats(0.1, 3.0)


@st.composite
def any_candidate(draw: st.DrawFn) -> dict[str, Any]:
    """A candidate of any speed and accuracy, of which anything may fail."""
    made = candidate(draw(RATIOS), draw(st.floats(-3, 1)), memory=draw(st.floats(1e6, 2e7)))
    for name in ("full", "final"):
        if draw(st.booleans()):
            made[name] = fast(draw(RATIOS))
    for name in ("validation", "short", "full", "final", "test"):
        if draw(st.integers(0, 7)) == 0:
            made[name] = BROKE
    made.setdefault("test", accurate(draw(st.floats(-3, 1))))
    middle = draw(RATIOS)
    made["head-to-head"] = {"ratio.latency.p50": (middle, middle * 0.98, middle * 1.02)}
    return made


FIGURES = st.lists(any_candidate(), max_size=6).map(
    lambda made: (
        {"reference": {**REFERENCE, "test": accurate(0)}}
        | {f"c{n}": each for n, each in enumerate(made)}
    )
)
ASKED = st.builds(
    lambda bounds, objective, quick: terms(
        *map(parse_constraint, bounds), objective=objective, quick=quick
    ),
    st.sampled_from([(), ("latency.p50 <= 1.2x source",), ("memory.peak <= 10 MB",)]),
    st.sampled_from(["latency.p50", "memory.peak", "size"]),
    st.booleans(),
)
SIZES = st.dictionaries(st.sampled_from(["reference", "c0", "c1", "c2"]), st.integers(1, 2000))
LATE = st.none() | st.integers(0, 12)


@settings(deadline=None)
@given(FIGURES, ASKED, SIZES, st.booleans(), LATE)
def test_it_always_ends_and_chooses_none_but_the_feasible(
    figures: dict[str, Any], asked: Any, sizes: dict[str, int], contends: bool, late: int | None
) -> None:
    play = Play(figures, asked, sizes=sizes, contends=contends, late_after=late)
    decision = play.run()
    assert play.selection.state == "done"
    if decision.chosen is not None:
        assert decision.chosen in play.standings.eligible()
        assert play.standings.stands(decision.chosen) == "feasible"
        assert play.ledger[decision.chosen].raced
        assert play.done("test") == [decision.chosen]
        tested = decision.verdict in ("chosen", "inconclusive")
        assert tested or decision.verdict == "refused-on-test"
    else:
        assert decision.verdict in ("unmet", "inconclusive", "failed")
        assert not play.done("test")


@settings(deadline=None)
@given(FIGURES, ASKED, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_in_which_scores_arrive_changes_nothing(
    figures: dict[str, Any], asked: Any, contends: bool, dice: random.Random
) -> None:
    def shuffled(events: list[Any]) -> list[Any]:
        return dice.sample(events, len(events))

    plays = [Play(figures, asked, contends=contends) for _ in range(2)]
    decisions = [plays[0].run(), plays[1].run(shuffled)]
    assert decisions[0] == decisions[1]
    assert plays[0].given.done == plays[1].given.done
    assert plays[0].ledger.records == plays[1].ledger.records


@settings(deadline=None)
@given(FIGURES, ASKED, st.booleans())
def test_a_failed_winner_is_never_chosen_and_the_reference_never_races_itself_beside_others(
    figures: dict[str, Any], asked: Any, contends: bool
) -> None:
    play = Play(figures, asked, contends=contends)
    decision = play.run()
    for name in ("short", "full", "final"):
        assert "reference" not in play.done(name)
    if decision.verdict == "chosen":
        assert decision.chosen is not None
        assert play.ledger[decision.chosen].error is None


@pytest.mark.parametrize(
    ("objective", "reason"),
    [
        (
            "latency.p50",
            "slower in short races: 4.50x (4.44 to 4.56x) the chosen's p50 latency: 0.90x "
            "(0.89 to 0.91x) against 0.200x (0.198 to 0.202x) the reference's, in 3 processes",
        ),
        (
            "accuracy",
            "accuracy",
        ),
    ],
)
def test_who_went_no_further_is_told_by_what(objective: str, reason: str) -> None:
    """Guards against "slower" where the most accurate wins."""
    figures = {
        "reference": REFERENCE,
        **{f"slower {n}": candidate(0.9, 0.4 - n / 100) for n in range(3)},
        "fast": candidate(0.4, 0.0),
        "faster": candidate(0.3, 0.5),
        "fastest": candidate(0.2, 0.6, short=fast(0.2, 0.003)),
    }
    play = Play(figures, terms(objective=objective))
    decision = play.run()
    screened = "slower 2" if objective == "latency.p50" else "fast"
    speed = objective == "latency.p50"
    assert play.status(screened, decision) == ("screened" if speed else "lost")
    assert play.reason(screened, decision).startswith(reason)


def test_another_percentile_than_the_median_is_raced_for_by_its_own_ratio() -> None:
    """Guards against candidates that go by their median where the slowest inferences count."""

    def shown(p50: float, p99: float) -> dict[str, Any]:
        return fast(p50) | {"ratio.latency.p99": (p99, p99 - 0.01, p99 + 0.01)}

    figures = {
        "reference": REFERENCE,
        "even": candidate(0.6, short=shown(0.6, 0.6)),
        "uneven": candidate(0.5, short=shown(0.5, 0.9)),
    }
    assert Play(figures, terms(objective="latency.p99")).run().chosen == "even"
