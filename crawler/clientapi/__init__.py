"""The messages of Tieba's client (app) API in its protobuf form.

`messages_pb2` is generated from messages.proto by `make proto`.
"""
