"""Ports of this machine."""

from __future__ import annotations

from asr_core.process.listening import bound_sockets


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    try:
        sockets = bound_sockets(host, port)
    except OSError:
        return False
    for each in sockets:
        each.close()
    return True


def free_port(host: str, preferred: int) -> int:
    """`preferred` if it is free, else one that the system chooses."""
    if preferred and port_is_free(host, preferred):
        return preferred
    sockets = bound_sockets(host, 0)
    port = int(sockets[0].getsockname()[1])
    for each in sockets:
        each.close()
    return port
