"""The nursery: a process from which ports are forked. It has imported everything, so a port is there in milliseconds
and shares its memory; it has never loaded the Go library, which does not survive a fork; and it has one thread.

``python -m gateway.whatsapp.nursery --control-fd N``: on the inherited SOCK_SEQPACKET socket N comes one request per
port, a sequence number with two descriptors (the port's socket and its log); the reply is that number and the port's
pid. A request without descriptors asks whether the one thread still answers. Forking twice hands the port over to
main, which is a child subreaper: main sees how it ends, also if the nursery has died before. When the control socket
closes, the nursery ends.
"""

import argparse
import gc
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from gateway.whatsapp import library, port
from gateway.whatsapp.control import ALIVE, DESCRIPTORS, REPLY, REQUEST

FAILURE_STATUS: Final = 1

_PID: Final = struct.Struct("!q")


def main(argv: Sequence[str] | None = None, in_child: Callable[[], None] | None = None) -> int:
    """Serve until the control socket closes; the exit status. ``in_child`` is called in every port after the Go library
    is loaded and before it connects."""
    parser = argparse.ArgumentParser(prog="python -m gateway.whatsapp.nursery", allow_abbrev=False)
    parser.add_argument("--control-fd", type=int, required=True, help="inherited SOCK_SEQPACKET socket")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        library.prepare()
    except library.LibraryError as error:
        print(f"nursery: {error}", file=sys.stderr)  # noqa: T201 - its parent reads this
        return FAILURE_STATUS
    with socket.socket(fileno=options.control_fd) as control:
        gc.collect()
        gc.freeze()
        control.send(REPLY.pack(ALIVE, os.getpid()))
        _serve(control, in_child)
    return 0


def _serve(control: socket.socket, in_child: Callable[[], None] | None) -> None:
    while True:
        try:
            data, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, DESCRIPTORS)
        except ConnectionError:
            return
        if not data:
            return
        (number,) = REQUEST.unpack(data)
        try:
            pid = os.getpid() if number == ALIVE else _fork_port(descriptors, in_child)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        try:
            control.send(REPLY.pack(number, pid))
        except OSError:
            return


def _fork_port(descriptors: Sequence[int], in_child: Callable[[], None] | None) -> int:
    """The port's pid; 0 if the machine gives no process."""
    sock, log = descriptors
    reader, writer = os.pipe()
    try:
        middle = os.fork()
        if middle == 0:
            _fork_again(writer, sock, log, in_child)
        os.waitpid(middle, 0)
    except OSError:
        return 0
    finally:
        os.close(writer)
        said = os.read(reader, _PID.size)
        os.close(reader)
    return int(_PID.unpack(said)[0]) if said else 0


def _fork_again(writer: int, sock: int, log: int, in_child: Callable[[], None] | None) -> NoReturn:
    """In the child that ends at once, so that its own child, the port, becomes main's."""
    try:
        pid = os.fork()
        if pid == 0:
            port.run(sock, log, in_child)
        os.write(writer, _PID.pack(pid))
    finally:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
