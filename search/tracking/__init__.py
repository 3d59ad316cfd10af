"""Copies of a search for other tools: TensorBoard's event files and MLflow's runs.

Each is told what the live view is told, by the parent process, in a thread of its own.
"""
