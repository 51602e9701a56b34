"""The command ``greenwire``: its options and where their values come from; from ``MODULE:APP`` to an application."""
