"""The model store under faults: system calls that fail or kill, and kills at random times."""
