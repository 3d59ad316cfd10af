"""The contenders of the race against time. Each module but `task` and `training` is a script."""
