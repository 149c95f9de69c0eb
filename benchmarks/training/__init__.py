"""Training, side by side with peers: time and memory to a gap from a reference optimum."""
