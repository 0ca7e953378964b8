class Skip(Exception):
    """This machine does not allow what a row needs."""
