"""What runs inside of the peers: their own idioms, in their own environments; nothing here is imported by the benchmark."""
