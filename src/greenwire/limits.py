"""Every bound on bytes, counts and seconds: one name, one default, one outcome.

A limit has its unit in its name. Comments give where the default comes from and, after the arrow, the one
thing that happens when the limit is crossed. Pure: imports nothing but ``dataclasses``.
"""

from dataclasses import dataclass, fields

from .errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server. ``Limits(header_bytes=16_384)`` changes one and keeps the others."""

    # --- connections
    connections: int = 65_536  # for each worker: descriptors a process can usually hold → 503 and close
    backlog: int = 1_024  # granian's; Linux caps it at net.core.somaxconn → the kernel refuses
    accept_pause_s: float = 0.5  # after EMFILE and its kin → accepting rests that long, doubling to 8 times it
    connections_per_address: int = 65_536  # for each worker; behind a proxy all have its address → 429 and close
    proxy_header_s: float = 5.0  # a proxy sends its PROXY header at once → the connection is closed
    tls_handshake_s: float = 10.0  # nginx allows 60 → the connection is closed
    tls_handshakes: int = 1_024  # for each worker, in flight; an honest one takes milliseconds → the oldest is closed

    # --- HTTP requests
    request_line_bytes: int = 8_190  # Apache's → 414
    header_bytes: int = 65_536  # h11's order of magnitude; all fields together → 431
    header_count: int = 100  # Apache's and http.client's → 431
    header_timeout_s: float = 30.0  # first byte to end of headers; granian's → 408
    body_bytes: int = 1_073_741_824  # waitress' 1 GiB; Flask's MAX_CONTENT_LENGTH may be lower → 413
    body_min_bytes_s: int = 240  # Apache mod_reqtimeout's order; average after the grace → 408
    body_grace_s: float = 20.0  # Apache mod_reqtimeout's → the average counts from here
    body_buffer_bytes: int = 65_536  # read ahead of the application → reading pauses
    chunk_overhead_bytes: int = 16_384  # chunk extensions and trailers beyond 32 bytes a chunk → 400
    pipelined_bytes: int = 65_536  # waiting behind the request that runs → reading pauses
    keep_alive_s: float = 30.0  # granian's; idle between requests → closed

    # --- HTTP responses
    response_buffer_bytes: int = 262_144  # not yet sent to a slow reader → the writer waits
    write_stall_s: float = 60.0  # nginx send_timeout; nothing taken for that long → cut

    # --- WebSocket
    message_bytes: int = 1_000_000  # Engine.IO's maxPayload; one message or one POST → 1009 or 413
    fragments: int = 4_096  # frames of one message (CVE-2026-48779 in ws) → 1009
    receive_buffer_bytes: int = 262_144  # SO_RCVBUF: bounds what one read can bring → the kernel holds the peer back
    close_timeout_s: float = 5.0  # for the peer's close frame, and again for its end of TCP → TCP is reset

    # --- Engine.IO
    queued_bytes: int = 8_388_608  # to one client, beyond what the kernel took → cut, "transport error"
    queued_packets: int = 16_384  # to one polling client → cut, "transport error"
    output_bytes: int = 1_073_741_824  # for each worker: to all clients that do not keep up → those with most are cut
    held_bytes: int = 2_097_152  # received while a client is paused → cut, "transport error"
    polling_close_s: float = 30.0  # Node's: how long a close packet waits for a poll → forgotten

    # --- Socket.IO
    connect_timeout_s: float = 45.0  # Socket.IO's: no namespace joined → closed
    namespaces: int = 100  # of one client → CONNECT_ERROR
    rooms: int = 10_000  # of one client, in one namespace → ConfigurationError at the join
    attachments: int = 10  # of one packet; Node's (CVE-2026-33151) → closed, "parse error"
    attachments_sent: int = 10  # of one packet; what socket.io-client takes → EncodeError at the emit
    ack_id_digits: int = 18  # fits in 64 bits → closed, "parse error"
    pending_acks: int = 1_000  # of one client → the oldest is given up
    events_in_flight: int = 100  # of one client, plus acknowledgements that it owes → reading of it pauses
    events_per_second: int = 1_000_000  # of one client; more than a process can do, so off → reading of it pauses
    events_queued: int = 10_000  # for each worker, of all its clients → each client may have one in flight

    # --- several processes
    worker_message_bytes: int = 67_108_864  # of one message between processes → not sent there, logged
    worker_queued_bytes: int = 134_217_728  # to one other worker; two of the largest messages → that worker is cut off
    worker_answer_s: float = 5.0  # what another worker is asked for, rooms() → TimeoutError
    queue_waiting_bytes: int = 16_777_216  # to a message queue that is slow or away → the newest is dropped, logged

    # --- user code
    threads: int = 128  # for each worker: of handlers and views → they wait in a queue
    thread_idle_s: float = 30.0  # without anything to do → the thread ends
    threads_busy_warning_s: float = 5.0  # all busy for so long → one warning names the oldest handler
    posts_queued: int = 10_000  # emits and the like of threads, not taken by the loop → the next waits, at most 1 s
    loop_busy_s: float = 0.3  # nobody is served meanwhile; people notice a third of a second → a warning names the line
    graceful_s: float = 30.0  # gunicorn's: running requests and handlers at shutdown → abandoned

    # --- workers
    worker_boot_s: float = 120.0  # a guess at the slowest import of an application → killed: a start that failed
    worker_silence_s: float = 30.0  # gunicorn's; without a sign of life of its loop → killed and replaced
    worker_failed_starts: int = 5  # one after the other, while no worker serves → the supervisor ends, exit code 1
    restart_pause_s: float = 0.5  # before the next start once one has not lasted → doubling to 64 times it
    drain_s: float = 10.0  # clients of a worker that is replaced are closed spread over it → the rest at its end

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kind = int if field.type is int else int | float  # bytes and counts are whole, seconds need not be
            if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < float("inf"):
                whole = "whole " if kind is int else ""
                raise ConfigurationError(f"limit {field.name}={value!r}: it takes a positive {whole}number")


DEFAULT = Limits()
