"""Records."""

from datetime import datetime, timezone

import pytest

from tieba.records import RECORD_TYPES, Post, User, to_json


def test_keys():
    assert Post(post_id=70).key == 70
    assert User(user_id=5, portrait="tb.1.x").key == 5
    assert User(portrait="tb.1.x").key == "tb.1.x"
    with pytest.raises(ValueError, match="id or a portrait"):
        User(name="甲")


def test_collections_and_keys_are_distinct():
    assert (
        len({kind.collection for kind in RECORD_TYPES}) == len({kind.key_field for kind in RECORD_TYPES}) == 5
    )


def test_json_has_every_field():
    post = Post(post_id=70, images=("a",), created_at=datetime(2024, 5, 1, 12, tzinfo=timezone.utc))
    found = to_json(post)
    assert (found["images"], found["created_at"], found["text"]) == (["a"], "2024-05-01T12:00:00+00:00", None)
    assert set(found) == set(post.fields())
