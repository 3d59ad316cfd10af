"""What a study teaches: which parameters matter, what closed the gap, what a smaller gap costs, bounds, in sentences.

It may import results and choice, and imports no torch. It knows nothing of how its findings are shown.
"""
