"""The protobuf messages of the client API."""

import subprocess
import sys
from pathlib import Path

import pytest
from aiotieba.api.get_comments.protobuf import PbFloorReqIdl_pb2, PbFloorResIdl_pb2
from aiotieba.api.get_posts.protobuf import PbPageReqIdl_pb2, PbPageResIdl_pb2
from aiotieba.api.get_threads.protobuf import FrsPageReqIdl_pb2, FrsPageResIdl_pb2

from clientapi import messages_pb2

ROOT = Path(__file__).parent.parent.parent


def test_generated_code_is_up_to_date(tmp_path):
    arguments = [
        "-I",
        "crawler",
        f"--python_out={tmp_path}",
        f"--pyi_out={tmp_path}",
        "clientapi/messages.proto",
    ]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], cwd=ROOT, check=True)
    for name in ("messages_pb2.py", "messages_pb2.pyi"):
        kept = ROOT / "crawler/clientapi" / name
        assert kept.read_text() == (tmp_path / "clientapi" / name).read_text(), "run `make proto`"


@pytest.mark.parametrize(
    "theirs",
    [
        FrsPageReqIdl_pb2.FrsPageReqIdl,
        FrsPageResIdl_pb2.FrsPageResIdl,
        PbPageReqIdl_pb2.PbPageReqIdl,
        PbPageResIdl_pb2.PbPageResIdl,
        PbFloorReqIdl_pb2.PbFloorReqIdl,
        PbFloorResIdl_pb2.PbFloorResIdl,
    ],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_fields_are_those_of_aiotieba(theirs):
    ours = getattr(messages_pb2, theirs.DESCRIPTOR.name)
    assert fields(ours.DESCRIPTOR) <= fields(theirs.DESCRIPTOR)


def fields(message, path=""):
    """Every field below a message: path, number, type, whether it repeats."""
    found = set()
    for field in message.fields:
        name = f"{path}.{field.name}"
        found.add((name, field.number, field.type, field.is_repeated))
        if field.message_type is not None:
            found |= fields(field.message_type, name)
    return found
