"""Two instances behind a balancer, restarted in turn under load: no request may notice."""
