"""What may be exported, by the time of the group's last answer."""

from __future__ import annotations

import pytest

from monitor.service.membership import Membership


@pytest.mark.parametrize(("now", "ours"), [(100.0, True), (130.0, True), (130.5, False), (190.0, False)])
def test_partitions_are_ours_for_a_session_timeout_after_the_last_answer(now: float, ours: bool) -> None:
    membership = Membership(session_timeout=30.0)
    membership.heard(100.0)
    assert ours == (membership.why_not(now) is None)


def test_an_answer_brings_them_back() -> None:
    membership = Membership(session_timeout=30.0)
    membership.heard(100.0)
    assert membership.why_not(190.0) == (
        "the consumer group has not answered for 90 s: another worker may own what this one had"
    )
    membership.heard(189.0)
    assert membership.why_not(190.0) is None


def test_before_the_first_answer_and_when_the_group_does_not_know_us_nothing_is_ours() -> None:
    membership = Membership(session_timeout=30.0)
    assert "waiting for the consumer group" == membership.why_not(0.0)
    membership.heard(100.0)
    membership.heard(None)
    assert "waiting for the consumer group" == membership.why_not(100.0)


def test_who_leaves_owns_nothing_whatever_the_group_still_answers() -> None:
    membership = Membership(session_timeout=30.0)
    membership.leave()
    membership.heard(100.0)
    assert "stopping" == membership.why_not(100.0)
