"""What stands on a page."""

from html.parser import HTMLParser


class Text(HTMLParser):
    """What a person reads, and the elements of the page."""

    def __init__(self, page):
        super().__init__()
        self.shown, self.elements, self.skipped = "", [], 0
        self.feed(page)
        self.shown = " ".join(self.shown.split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.shown += " "
        self.skipped += tag in ("script", "style", "noscript")

    def handle_endtag(self, tag):
        self.skipped -= tag in ("script", "style", "noscript")

    def handle_data(self, data):
        self.shown += "" if self.skipped else data
