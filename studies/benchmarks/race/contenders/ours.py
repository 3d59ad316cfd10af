"""This search, as a user starts it with `--timeout`; best.yaml and best.pt are what it takes home."""

from studies.benchmarks.race.contenders.task import parse

REPORT_SECONDS = 8.0  # for graphs and report at the end, which come after the timeout


def main() -> None:
    """One search."""
    task = parse()
    task.search(trials=100_000, out=task.folder / "run", timeout=max(task.left - REPORT_SECONDS, 1.0)).run()


if __name__ == "__main__":
    main()
