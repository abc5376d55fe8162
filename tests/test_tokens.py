"""Page tokens and cursors: what they carry comes back, and nothing else is taken for one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.aliases.records import KEYS_MAX
from ledger.errors import Refused
from ledger.event import order_key
from ledger.position import INDEX_MAX
from ledger.v1.token_pb2 import PageToken, PinnedIndex, WatchCursor
from ledger.v1.trail_service_pb2 import ListScanEventsRequest, WatchTrailRequest
from query.tokens import (
    TOKEN_BYTES_MAX,
    _text,
    page_digest,
    read_cursor,
    read_page_token,
    watch_digest,
    write_cursor,
    write_page_token,
)
from query.trail import Pin, Place

REQUEST = ListScanEventsRequest(tracking_number="RR123456785CH")
DIGEST = page_digest(REQUEST)

pins = st.lists(
    st.builds(Pin, st.integers(1, 127), st.integers(0, (1 << 16) - 1), st.integers(0, INDEX_MAX)),
    max_size=127,
    unique_by=lambda pin: pin[:2],
)
orders = st.builds(
    order_key,
    st.integers(0, (1 << 63) - 1),
    st.binary(min_size=16, max_size=16),
    st.integers(1, (1 << 63) - 1),
)
places = st.builds(Place, orders, st.integers(-(1 << 63), (1 << 63) - 1))


@given(pins, places)
def test_a_page_token_comes_back(pinned: list[Pin], last: Place) -> None:
    """Pins and the last place survive, in text that is safe in a URL and short enough."""
    text = write_page_token(DIGEST, pinned, last)

    assert read_page_token(text, DIGEST) == (pinned, last)
    assert set(text) <= set("-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert len(text) <= TOKEN_BYTES_MAX


@given(pins)
def test_a_cursor_comes_back(pinned: list[Pin]) -> None:
    """The pins of a cursor survive, of each key."""
    digest = watch_digest(WatchTrailRequest(tracking_number="A"))
    sent = {b"A": pinned[::2], b"B": pinned[1::2]}

    assert read_cursor(write_cursor(digest, b"A", sent), digest, b"A") == sent


def test_a_cursor_of_sixteen_long_keys_is_short_enough() -> None:
    """The most that a cursor can hold fits into the limit."""
    sent = {bytes([65 + number]) * 128: [Pin(1, number, 1 << 40)] for number in range(KEYS_MAX)}
    text = write_cursor(DIGEST, b"A" * 128, sent)

    assert read_cursor(text, DIGEST, b"A" * 128) == sent
    assert len(text) <= TOKEN_BYTES_MAX


@pytest.mark.parametrize(
    "others",
    [[b"A"], [b"B", b"B"], [b""], [bytes([66 + number]) for number in range(KEYS_MAX)]],
)
def test_impossible_keys_are_refused(others: list[bytes]) -> None:
    """A key stands once in a cursor, and more than are followed never do."""
    cursor = WatchCursor(request_digest=DIGEST, other_keys=others)
    with pytest.raises(Refused, match="resume_after"):
        read_cursor(_text(cursor.SerializeToString(deterministic=True)), DIGEST, b"A")
    no_key = WatchCursor(request_digest=DIGEST, sent=[PinnedIndex(generation=1, key=1)])
    with pytest.raises(Refused, match="resume_after"):
        read_cursor(_text(no_key.SerializeToString(deterministic=True)), DIGEST, b"A")


@given(
    st.text(max_size=80)
    | st.binary(max_size=80).map(lambda b: base64.urlsafe_b64encode(b).decode())
)
def test_any_other_text_is_refused(text: str) -> None:
    """Whatever a client sends in the place of a token is refused, and nothing worse happens."""
    with pytest.raises(Refused) as token:
        read_page_token(text, DIGEST)
    with pytest.raises(Refused) as cursor:
        read_cursor(text, DIGEST, b"A")

    assert token.value.reason in {"PAGE_TOKEN_MALFORMED", "PAGE_TOKEN_MISMATCH"}
    assert cursor.value.reason in {"CURSOR_MALFORMED", "CURSOR_MISMATCH"}


@given(
    st.lists(
        st.builds(Pin, st.just(1), st.integers(0, 9), st.integers(0, 99)), unique_by=lambda p: p[1]
    ),
    places,
    st.data(),
)
def test_a_cut_token_is_refused(pinned: list[Pin], last: Place, data: st.DataObject) -> None:
    """A token that lost its end is no token: it never starts again from the beginning."""
    text = write_page_token(DIGEST, pinned, last)
    cut = data.draw(st.integers(0, len(text) - 1))

    try:
        token = read_page_token(text[:cut], DIGEST)
    except Refused:
        return

    assert token.last.order == last.order


def test_a_token_has_one_spelling() -> None:
    """Padding, other fields and other bits in the last letter are refused."""
    text = write_page_token(DIGEST, [Pin(1, 2, 3)], Place(order_key(1, b"x" * 16, 1 << 56), 0))
    token = PageToken.FromString(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    more = token.SerializeToString() + b"\xc2\x3e\x01x"
    spellings = [text + "=", text + "\n", " " + text, base64.urlsafe_b64encode(more).decode()]

    for spelling in spellings:
        with pytest.raises(Refused):
            read_page_token(spelling, DIGEST)


@pytest.mark.parametrize(
    "pinned",
    [
        [Pin(0, 0, 1)],
        [Pin(128, 0, 1)],
        [Pin(1, 1 << 16, 1)],
        [Pin(1, 0, INDEX_MAX + 2)],
        [Pin(1, 0, 1), Pin(1, 0, 2)],
    ],
)
def test_impossible_pins_are_refused(pinned: list[Pin]) -> None:
    """What no log can have is no pin."""
    with pytest.raises(Refused):
        read_cursor(write_cursor(DIGEST, b"A", {b"A": pinned}), DIGEST, b"A")


def test_tokens_and_cursors_are_not_each_other() -> None:
    """A cursor is no page token, and a page token is no cursor."""
    token = write_page_token(DIGEST, [Pin(1, 2, 3)], Place(order_key(1, b"x" * 16, 1), 0))
    cursor = write_cursor(DIGEST, b"A", {b"A": [Pin(1, 2, 3)]})

    with pytest.raises(Refused, match="page_token"):
        read_page_token(cursor, DIGEST)
    with pytest.raises(Refused, match="resume_after"):
        read_cursor(token, DIGEST, b"A")
