"""The client (app) API as a source, in both of its forms; it works without an account.

The fields were learnt from public client code and from captured answers of 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tieba.pages import outcomes
from tieba.pages.answers import Answer, Outcome
from tieba.pages.client import protobuf, requests
from tieba.pages.client.protobuf import looks_like_protobuf
from tieba.pages.client.records import kind_of_payload, other_subject, read_records
from tieba.pages.targets import kind_of

if TYPE_CHECKING:
    from tieba.pages.sources import Call, Received
    from tieba.pages.targets import Fetch, Target

__all__ = ["ClientApi", "looks_like_protobuf"]


class ClientApi:
    """Asks with signed JSON or with unsigned protobuf (`api_format`); reads answers of either form."""

    threads_per_page = requests.THREADS_PER_PAGE
    comments_per_page = 30
    has_inline_comments = True

    def __init__(self, api_format: str = "json", client_version: str = "12.20.1.0") -> None:
        self._encode = requests.as_protobuf if api_format == "protobuf" else requests.as_json
        self._client_version = client_version

    def build(self, fetch: Fetch) -> Call:
        """Build the request; the same fetch always gives the same bytes."""
        return self._encode(requests.question(fetch), self._client_version)

    def read(self, received: Received, target: Target | None = None) -> Answer:
        """Tell what an answer means; never raises, whatever the bytes are.

        Without `target` the kind is told from the content; with it, an answer of another kind is unknown.
        """
        payload = _decode(received.body, target)
        outcome, error = outcomes.classify(received, payload)
        if outcome is not Outcome.OK:
            return Answer(outcome=outcome, error=error, retry_after=outcomes.retry_after(received))
        kind = kind_of_payload(payload)
        if kind is None:
            return Answer(outcome=Outcome.UNKNOWN, error="answer without threads, posts or comments")
        other = f"of kind {kind}" if target and kind != kind_of(target) else other_subject(payload, target)
        if other:
            return Answer(outcome=Outcome.UNKNOWN, error=f"answer {other} to a request for {target}")
        answer = read_records(kind, payload, target)
        return answer.as_page(target.page) if target else answer


def _decode(body: bytes, target: Target | None) -> Any:
    """Give the answer as the JSON form has it; None where the body is of neither form."""
    if looks_like_protobuf(body):
        return protobuf.decode(body, None if target is None else kind_of(target))
    return outcomes.decode(body)
