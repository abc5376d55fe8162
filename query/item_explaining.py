"""`ItemService.ExplainItem`: an item looked up as in GetItem, and put into words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.errors import Refused
from ledger.v1.item_service_pb2 import ExplainItemResponse, ItemAnswer
from ledger.v1.trail_service_pb2 import LookupStatus
from query import requests
from query.answers import ITEM_ENTRIES_MAX
from query.explanation import Speaker, changes_since, explain_item, explain_nothing
from query.explanation.silence import nothing_known
from query.explanation_answers import put_explanation, put_sentences
from query.items import Question
from query.journey import asked_of
from query.naming import name_facilities
from query.texts.languages import TAG_BYTES_MAX

if TYPE_CHECKING:
    from ledger.facilities import Directory
    from ledger.v1.item_service_pb2 import ExplainItemRequest
    from query.items import Items
    from query.progress_view import ProgressView, Shown
    from query.texts import Languages

_NOT_YET_SEEN: Final = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN


class ItemExplaining:
    """Explains the items of one process."""

    def __init__(
        self,
        items: Items,
        *,
        progress: ProgressView,
        facilities: Directory,
        languages: Languages,
    ) -> None:
        """`items` looks them up, and remembers what they take between facilities."""
        self._items = items
        self._progress = progress
        self._facilities = facilities
        self._languages = languages

    async def explain(
        self, request: ExplainItemRequest, question: Question, shown: Shown, *, now_ns: int
    ) -> ExplainItemResponse:
        """Explain one item. Raises Refused for a number that no item can have."""
        number = request.tracking_number
        keys = requests.keys_of(number)
        speaker = self._speaker(request.language)
        look = await self._items.look_inside(number, keys, shown, question)
        out = ExplainItemResponse(language=speaker.language.tag)
        out.answer.tracking_number = number
        named: dict[str, None] = {}
        # Words take longer than learning, and say what others took: so each is learned from.
        folded, _ = self._items.answer(look, question, out.answer, named, learn_every=1)
        name_facilities(out, named, self._facilities)
        if folded is not None:
            moment_ns = question.now_ns if question.until_ns is None else question.until_ns
            # What was said of a past moment stays the same: the memory of one process does not.
            known = nothing_known if question.is_past else self._items.lanes.history
            most = ITEM_ENTRIES_MAX if question.timeline else 0
            explanation = explain_item(
                speaker,
                folded,
                now_ns=moment_ns,
                history_of=known,
                events_max=most,
                containers=[one.tracking_key for one in out.answer.item.containers],
            )
            put_explanation(out, explanation)
        elif out.answer.status == _NOT_YET_SEEN:
            is_bad = asked_of(number, now_ns=now_ns).bad_number
            put_explanation(out, explain_nothing(speaker, number, bad_number=is_bad))
        if request.HasField("as_of_time") and not out.answer.oversized:
            today = Question(now_ns, question.until_ns)
            look = await self._items.look_inside(
                number, keys, await self._progress.shown_now(), today
            )
            now, _ = self._items.answer(look, today, ItemAnswer(), {})
            changes = changes_since(speaker, folded, now, as_of_ns=question.now_ns)
            put_sentences(out.changes, changes)
        return out

    def _speaker(self, wanted: str) -> Speaker:
        if len(wanted.encode()) > TAG_BYTES_MAX:
            raise Refused(
                f"`language` has more than {TAG_BYTES_MAX} bytes; it is a tag such as `de`.",
                reason="LANGUAGE_MALFORMED",
                field="language",
            )
        return Speaker(self._languages.choose(wanted), self._facilities)
