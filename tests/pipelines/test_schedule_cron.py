"""Cron as KFP's scheduler reads it: five fields get their second, and nonsense is refused."""

from datetime import UTC, datetime

import pytest

from components.step import StepError
from pipelines.server.cron import explain, read_cron

# A Sunday.
NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text, sent, first",
    [
        ("0 2 * * 0", "0 0 2 * * 0", "Sun 2026-11-29 02:00:00"),
        ("0 0 2 * * SUN", "0 0 2 * * SUN", "Sun 2026-11-29 02:00:00"),
        (" 30  4 * * mon-fri ", "0 30 4 * * mon-fri", "Mon 2026-11-23 04:30:00"),
        ("@weekly", "0 0 0 * * 0", "Sun 2026-11-29 00:00:00"),
        ("@Daily", "0 0 0 * * *", "Mon 2026-11-23 00:00:00"),
        ("*/20 * * * *", "0 */20 * * * *", "Sun 2026-11-22 07:20:00"),
        ("15/20 * * * *", "0 15/20 * * * *", "Sun 2026-11-22 07:15:00"),
        ("0 0 1 JAN-MAR ?", "0 0 0 1 JAN-MAR ?", "Fri 2027-01-01 00:00:00"),
        ("7 0 0 29 2 *", "7 0 0 29 2 *", "Tue 2028-02-29 00:00:07"),
    ],
)
def test_six_fields_are_sent(text, sent, first):
    cron = read_cron(text)
    assert cron.text == sent
    assert explain(cron, NOW).split(",")[0] == first


def test_three_times_are_told():
    assert explain(read_cron("0 3 1,15 * *"), NOW) == (
        "Tue 2026-12-01 03:00:00, Tue 2026-12-15 03:00:00, Fri 2027-01-01 03:00:00 UTC"
    )


@pytest.mark.parametrize(
    "text, days",
    [
        # Both kinds of day given: either is enough, unless one is a star.
        ("0 0 25 * MON", [23, 25, 30]),
        ("0 0 25 * *", [25]),
        ("0 0 */3 * WED", [25]),
        ("0 0 25,* * MON", [23, 30]),
    ],
)
def test_days_of_month_and_of_week(text, days):
    cron = read_cron(text)
    found = []
    for time in cron.times(NOW):
        if time.month != NOW.month:
            break
        found.append(time.day)
    assert found == [day for day in days if day > NOW.day]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "has 0 fields"),
        ("1 2 3", "has 3 fields"),
        ("0 0 2 * * 0 2027", "has 7 fields"),
        ("@every 5m", "'@every 5m' is not known; there is @yearly"),
        ("@reboot", "'@reboot' is not known"),
        ("* * * * * *", "runs 60 times a minute"),
        ("*/10 0 2 * * 0", "runs 6 times a minute"),
        ("60 2 * * 0", "'60' is no minute, which goes from 0 to 59"),
        ("0 24 * * 0", "'24' is no hour"),
        ("0 2 0 * *", "'0' is no day of month"),
        ("0 2 * 13 *", "'13' is no month"),
        ("0 2 * * 7", "'7' is no day of week, which goes from 0 to 6; Sunday is 0"),
        ("0 2 * * SUNDAY", "'SUNDAY' is no day of week"),
        ("0 2 L * *", "'L' is no day of month"),
        ("0 2 * * 5#2", "'5#2' is no day of week"),
        ("0 5-3 * * *", "'5-3' goes backwards"),
        ("*/0 * * * *", "'*/0' is no step"),
        ("*/x * * * *", "'*/x' is no step"),
        ("0 -1 * * *", "'' is no hour"),
        ("0 2, * * *", "'' is no hour"),
        ("0 ٢ * * *", "'٢' is no hour"),
        ("0 0 30 2 *", "never runs: there is no such day"),
    ],
)
def test_nonsense_is_refused_in_one_line(text, words):
    with pytest.raises(StepError) as refusal:
        read_cron(text)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
