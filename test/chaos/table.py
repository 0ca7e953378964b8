"""The table: a line for each row as soon as it is known, in Markdown, so that it can stand in docs/outages.md as it is."""

HEAD = ("row", "what goes wrong", "logins", "let in (degraded)", "refused", "nobody could say, and why", "wrong", "negatives cached",
        "p99 ms: before, at first, then (load generator's own)", "calls (a second, left alone)", "well again after")


def line(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head():
    return line(HEAD) + "\n" + "|---" * len(HEAD) + "|"


def number(n):
    return f"{n:,}"


def reasons(errors):
    return ", ".join(f"`{word}` {number(n)}" for word, n in errors.items()) or "0"


def milliseconds(ms):
    return f"{ms:.1f}" if ms < 100 else number(round(ms))


def cells(result):
    alone = result.calls_left_alone
    return (result.row.name, result.row.words, number(result.asked),
            f"{number(result.n('allowed', 'degraded'))} ({number(result.n('degraded'))})", number(result.n("denied")),
            reasons(result.errors()), result.wrong, result.negatives,
            ", ".join(milliseconds(result.p99_ms(phase)) for phase in ("before", "onset", "trouble"))
            + f" ({milliseconds(result.late_ms('trouble'))})",
            f"{number(result.calls)} ({alone:.2f})" if alone is not None else number(result.calls), f"{result.recovery:.2f} s")
