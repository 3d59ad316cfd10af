"""What a person sees: terminal, dashboard, report, and every graph once.

It may import insight, results and choice, and the names of `search.stopping`. It never imports training or the engine:
whoever trains hands over `TrialResult`s. Of a study it writes the dashboard's graphs, notes and images alone.
"""
