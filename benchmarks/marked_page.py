"""Texts between two marks of a page: what a script writes into docs/ beside what people write."""

__all__ = ["between"]


def between(page: str, begin: str, end: str, text: str) -> str:
    r"""Return a page with a text between two of its lines.

    Raises:
        ValueError: the lines are not there.

    >>> between("a\n<b>\nold\n<e>\n", "<b>\n", "<e>\n", "new\n")
    'a\n<b>\nnew\n<e>\n'
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page must have the lines {begin.strip()} and {end.strip()}")
    return before + begin + text + end + after
