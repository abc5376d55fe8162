"""What people read about an item says the same everywhere: in its status, and in explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.explainers import explained
from tests.tellers import notice, read, say, usual

if TYPE_CHECKING:
    from query.journey import Told

HELD, READY = "CUSTOMS_HELD", "READY_FOR_PICKUP"
SHOWN = say("CUSTOMS_PRESENTED", 15, "SC")


@pytest.mark.parametrize(
    ("story", "headline", "where"),
    [
        ([*usual()[:4], SHOWN], "With customs or security: SC", "SC"),
        ([*usual()[:4], SHOWN, notice(HELD, 18)], "With customs or security: SC", "SC"),
        ([*usual()[:4], SHOWN, notice(HELD, 18, "SC")], "With customs or security: SC", "SC"),
        ([*usual()[:4], SHOWN, notice(HELD, 18, "ZOLL")], "With customs or security", "SC"),
        ([*usual()[:3], notice(HELD, 18, "SC")], "With customs or security", "PO"),
        ([*usual()[:1], notice(HELD, 18, "SC")], "With customs or security", ""),
        ([*usual()[:7], notice(READY, 36, "SHOP")], "Ready to be fetched", "DU"),
        ([*usual()[:7], say(READY, 36, "SHOP")], "Ready to be fetched: SHOP", "SHOP"),
        ([*usual()[:4], say("HELD", 18, "SC")], "Waiting: SC", "SC"),
    ],
    ids=[
        *("seen there", "held somewhere", "held there", "held elsewhere", "on its way", "unseen"),
        *("announced at a shop", "seen at a shop", "kept"),
    ],
)
def test_nobody_is_told_two_places(story: list[Told], headline: str, where: str) -> None:
    """A headline names the place where the status has it: that of the newest scan apart from
    notices. A notice of another place is among the facts, with its own place, and moves nothing.
    """
    found = explained(story)
    last = story[-1].event

    assert read(story).where.facility == where
    assert found.status.headline == headline
    if last.capture_method and last.facility:
        [said] = [one for one in found.sentences if one.startswith("Last notice")]
        assert f", {last.facility}, " in said
