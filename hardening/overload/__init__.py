"""Ten times what the service can do, for a minute: what is still answered, and how quickly the rest is refused."""
