"""Engine.IO v4: sessions over polling and WebSocket."""
