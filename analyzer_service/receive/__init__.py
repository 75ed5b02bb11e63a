"""Where messages come in: live producers over sockets, and recordings that are replayed."""
