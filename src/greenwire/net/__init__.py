"""From an address to connections: listening sockets, TLS, the accept loop. Knows no protocol."""
