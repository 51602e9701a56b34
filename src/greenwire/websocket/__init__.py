"""RFC 6455 on a connection that HTTP has handed over. Internal."""
