"""What a space is tried on before a search: its corners built and run, what it reads, whether it can overfit at all."""
