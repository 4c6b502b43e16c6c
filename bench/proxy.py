"""A TCP proxy that makes a server distant: what it receives it passes on half a round trip later.

Any number of packets may be under way at a time, so that it adds the delay alone and no limit of the
throughput.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import selectors

_CHUNK_BYTES = 65_536


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    waiting: collections.deque[bytes] = collections.deque()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            waiting.append(data)
            loop.call_later(delay, lambda: writer.write(waiting.popleft()))
    await asyncio.sleep(delay)
    writer.close()


async def _serve(port: int, delay: float) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_forward(reader, server_writer, delay), _forward(server_reader, writer, delay))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Delay a server's connections; prints the proxy's port.")
    parser.add_argument("port", type=int, help="the server's")
    parser.add_argument("round_trip", type=float, metavar="SECONDS", help="added to each round trip")
    arguments = parser.parse_args()
    # select() waits for microseconds; epoll, asyncio's choice, only for whole milliseconds.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(_serve(arguments.port, arguments.round_trip / 2))
