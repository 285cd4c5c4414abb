"""Durations as a person says them."""


def spoken(seconds: float) -> str:
    """A duration in its two largest units.

    >>> spoken(7.4), spoken(100), spoken(3600 * 30)
    ('7 s', '1 min 40 s', '30 h')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 and whole < 600 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 and whole < 36000 else "")
