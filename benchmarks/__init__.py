"""What `make bench` and `make bench-check` run: this client beside what one would take instead."""
