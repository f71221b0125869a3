"""Periods of FIX sessions: daily, over midnight, weekly, over a change of the clocks.

Method: moments in UTC, written out, against bounds that were worked out by hand.
"""

from datetime import UTC, datetime

import pytest

from tickwire.orders.fix.schedule import parse_schedule


def ns(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def period(schedule, moment):
    found = schedule.period(ns(moment))
    return found and tuple(f"{datetime.fromtimestamp(bound // 10**9, UTC):%m-%d %H:%M}"
                           for bound in found)


def test_without_times_it_is_always_open():
    schedule = parse_schedule("", "", "", "", "UTC")
    assert schedule.period(1) == (0, 1 << 63)
    assert schedule.opens(5) == 5


@pytest.mark.parametrize("moment, expected", [
    ("2026-01-15 14:29:59", None),
    ("2026-01-15 14:30:00", ("01-15 14:30", "01-15 21:00")),
    ("2026-01-15 20:59:59", ("01-15 14:30", "01-15 21:00")),
    ("2026-01-15 21:00:00", None),
    ("2026-07-15 13:30:00", ("07-15 13:30", "07-15 20:00"))])
def test_a_day_in_new_york_in_winter_and_summer(moment, expected):
    schedule = parse_schedule("09:30:00", "16:00:00", "", "", "America/New_York")
    assert period(schedule, moment) == expected


@pytest.mark.parametrize("moment, expected", [
    ("2026-01-15 20:00:00", ("01-15 18:00", "01-16 17:00")),
    ("2026-01-16 03:00:00", ("01-15 18:00", "01-16 17:00")),
    ("2026-01-16 17:30:00", None)])
def test_a_period_over_midnight(moment, expected):
    assert period(parse_schedule("18:00:00", "17:00:00", "", "", "UTC"), moment) == expected


@pytest.mark.parametrize("moment, expected", [
    ("2026-01-11 21:59:59", None),
    ("2026-01-11 22:00:00", ("01-11 22:00", "01-16 21:00")),
    ("2026-01-14 12:00:00", ("01-11 22:00", "01-16 21:00")),
    ("2026-01-16 21:00:00", None),
    ("2026-01-17 12:00:00", None)])
def test_a_week_from_sunday_to_friday(moment, expected):
    schedule = parse_schedule("22:00:00", "21:00:00", "sunday", "friday", "UTC")
    assert period(schedule, moment) == expected


def test_a_week_that_ends_on_the_day_it_begins():
    schedule = parse_schedule("22:00:00", "21:00:00", "sunday", "sunday", "UTC")
    assert period(schedule, "2026-01-18 20:00:00") == ("01-11 22:00", "01-18 21:00")
    assert period(schedule, "2026-01-18 21:30:00") is None


def test_the_next_opening_is_told():
    schedule = parse_schedule("09:30:00", "16:00:00", "", "", "America/New_York")
    assert schedule.opens(ns("2026-01-15 22:00:00")) == ns("2026-01-16 14:30:00")
    assert schedule.opens(ns("2026-01-15 15:00:00")) == ns("2026-01-15 15:00:00")


@pytest.mark.parametrize("settings, key", [
    (("09:30:00", "", "", "", "UTC"), "end_time"),
    (("09:30:00", "16:00:00", "monday", "", "UTC"), "end_day"),
    (("", "", "monday", "friday", "UTC"), "end_day"),
    (("", "", "", "", "Mars/Olympus"), "time_zone"),
    (("", "", "", "", "../etc/passwd"), "time_zone")])
def test_settings_that_say_nothing_whole_are_refused(settings, key):
    with pytest.raises(ValueError, match=f"^{key} must"):
        parse_schedule(*settings)
