import socket
import threading

import pytest

from tollway.cli.address import Readiness, base_url, readiness


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104
        ("::", "http://[::1]:8080"),
        ("gateway.example", "http://gateway.example:8080"),
    ],
)
def test_an_address_is_one_that_a_client_here_can_use(host: str, url: str) -> None:
    assert base_url(host, 8080) == url


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"status": "ready", "checks": {}}', Readiness(200, "ready")),
        (b'HTTP/1.1 503 No\r\n\r\n{"status": "draining", "checks": {"database": "ok"}}', Readiness(503, "draining")),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", Readiness(200, None)),
        (b'HTTP/1.1 200 OK\r\n\r\n{"status": "UP"}', Readiness(200, None)),
        (b'HTTP/1.1 200 OK\r\n\r\n{"status": "\xe9"}', Readiness(200, None)),
        (b"220 smtp.example\r\n", Readiness(0, None)),
    ],
)
def test_a_gateway_is_told_from_something_else(answer: bytes, found: Readiness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        assert readiness(f"http://127.0.0.1:{server.getsockname()[1]}") == found
        thread.join()


def test_nothing_is_nothing() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        assert readiness(f"http://127.0.0.1:{unheard.getsockname()[1]}") is None
