"""From options to processes: one that serves, or a supervisor above several. Knows neither loop nor protocol."""
