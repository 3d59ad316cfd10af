"""The contenders of the throughput benchmark. Each module whose name a `Contender` has is a script."""
