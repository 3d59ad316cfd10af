"""The end of a search: the race of the finalists with fresh seeds, the choice, and best.yaml with its weights."""
