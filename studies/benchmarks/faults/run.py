"""Faults at random moments of real searches: what is lost, left behind or done twice.

    python studies/benchmarks/faults/run.py [--faults 200] [--seed S] [--out DIR] [--only KIND] [--jobs N]

Each search is one on digits (200 images; 12 trials of 4 epochs, or 3 of 20 long ones) with faults of one kind. It is
started again with the same command until it ends by itself. Then its study, its processes and its files are looked at;
with one worker its results are compared with those of a search that was left alone. The n-th search has the seed
S + n, so `--only KIND --seed SEED --faults 1` repeats a single one. DIR gets the table as faults.csv.

A full disk needs the right to mount one; where that is missing, these kinds are skipped.
"""

import argparse
import csv
import itertools
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from studies.benchmarks.faults.checks import Found, search_with_faults, undisturbed
from studies.benchmarks.faults.kinds import KINDS

COLUMNS = {
    "lost": "finished trials lost",
    "running": "left running",
    "duplicates": "duplicates",
    "missing": "never trained",
    "errors": "set aside",
    "ended": "ended needlessly",
    "hangs": "hung",
    "refused": "restarts refused",
    "tracebacks": "tracebacks",
    "processes": "processes left",
    "files": "files left",
    "differs": "results that differ",
    "costly": "too much trained twice",
}


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200, help="in all; the last searches may add some")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, metavar="DIR", help="default: a temporary folder")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--jobs", type=int, default=2, help="searches side by side")
    parser.add_argument("--minutes", type=float, default=None, help="begin no search after that long")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and a shell's & have them ignored,
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and searches would inherit that
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        out = options.out or Path(tempfile.mkdtemp(prefix="fault-campaign-"))
        found = campaign(options, Path(folder))
    write_csv(found, out / "faults.csv")
    print(f"\n{table(found)}\n\ntable: {out / 'faults.csv'}")
    sys.exit(any(search.bad for search in found))


def campaign(options: argparse.Namespace, place: Path) -> list[Found]:
    """Searches with faults, some side by side, until there were enough faults."""
    cache = place / "cache"
    sizes = dict.fromkeys(KINDS[name].size for name in options.only or KINDS)
    expected = {size: undisturbed(size, place / "undisturbed", cache) for size in sizes}
    names, began, found = kinds_in_turn(options.only), time.monotonic(), list[Found]()
    seeds = itertools.count(options.seed)
    planned = 0
    pending = set[Future[Found]]()
    with ThreadPoolExecutor(options.jobs) as pool:
        while True:
            late = options.minutes is not None and time.monotonic() - began > 60 * options.minutes
            while len(pending) < options.jobs and planned < options.faults and not late:
                name, seed = next(names), next(seeds)
                planned += KINDS[name].faults
                goal = expected[KINDS[name].size]
                pending.add(pool.submit(search_with_faults, name, seed, place / str(seed), cache, goal))
            if not pending:
                return found
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for search in (future.result() for future in done):
                found.append(search)
                planned += search.faults - KINDS[search.kind].faults  # those for which it was too fast
                tell(search, sum(each.faults for each in found), options.faults)


def kinds_in_turn(only: Sequence[str] | None) -> Iterator[str]:
    """Without end: those named, or all, long ones less often."""
    for turn in itertools.count(1):
        yield from only or (name for name, kind in KINDS.items() if turn % kind.every == 0)


def tell(search: Found, faults: int, wanted: int) -> None:
    """One line for each search; more where a check failed."""
    failed = ", ".join(f"{COLUMNS[name]}: {getattr(search, name)}" for name in COLUMNS if getattr(search, name))
    said = search.skipped or failed or "fine"
    print(
        f"[{faults}/{wanted}] {search.kind}, seed {search.seed}: {search.faults} faults, "
        f"{search.restarts} restarts; {said}",
        flush=True,
    )
    if search.bad:
        for note in search.notes:
            print("    " + note.replace("\n", "\n    "))
        again = f"--only {search.kind} --seed {search.seed} --faults 1"
        print(f"    to repeat: python studies/benchmarks/faults/run.py {again}", flush=True)


def rows_of(found: Sequence[Found]) -> list[dict[str, str]]:
    """One row for each kind, and one for all."""
    rows = []
    for name in [*KINDS, "all"]:
        searches = [search for search in found if name in (search.kind, "all") and not search.skipped]
        row = {
            "kind": name,
            "searches": str(len(searches)),
            "faults": str(sum(search.faults for search in searches)),
            "restarts": str(sum(search.restarts for search in searches)),
            "compared": str(sum(search.compared for search in searches)),
        }
        row |= {title: str(sum(getattr(search, key) for search in searches)) for key, title in COLUMNS.items()}
        row["taken up again"] = str(sum(search.resumed for search in searches))
        row["epochs trained twice"] = f"{sum(search.epochs_again for search in searches):.2f}"
        row["seconds of it at most"] = f"{max((search.seconds_again for search in searches), default=0.0):.2f}"
        if searches or name == "all":
            rows.append(row)
    return rows


def table(found: Sequence[Found]) -> str:
    """In Markdown; below it what was not run."""
    rows = rows_of(found)
    titles = list(rows[0])
    lines = ["| " + " | ".join(titles) + " |", "| --- |" + " ---: |" * (len(titles) - 1)]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    skipped = {search.kind: search.skipped for search in found if search.skipped}
    left_out = [name for name in KINDS if name not in {search.kind for search in found}]
    lines += ["", *(f"skipped: {name}: {why}" for name, why in skipped.items())]
    lines += [f"not run: {', '.join(left_out)}"] if left_out else []
    return "\n".join(lines)


def write_csv(found: Sequence[Found], path: Path) -> None:
    """The table as a file."""
    rows = rows_of(found)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
