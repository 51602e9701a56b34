"""Socket.IO v5: namespaces, events, acknowledgements, rooms."""
