"""Search on your own images: --data-root DIR, where each class has a folder of its own.

DIR/<class>/*, of which a fifth is set aside as the test part, or the same below DIR/train, DIR/val and DIR/test.
"""

from search.command.presets import PRESETS
from search.study import main

if __name__ == "__main__":
    main(**PRESETS["folder"])
