"""A row of the table: an attack, how it is carried out, and what must hold during it and after."""

import collections
import time
from dataclasses import dataclass, field

from bed import MEBIBYTE, Bed
from lib import wait

P99_MS = 50
# On a machine that is busy with other work no bound in milliseconds says anything: it is held where the good client, without an
# attack and in the same process, is well below it.
QUIET_P99_MS = 20
MEMORY_RATIO = 1.05
MOST_REHEARSALS, ENOUGH_RATIO = 4, 1.02
MOST_ENCORES = 3
# What manifests/ give to the container: above it there is no process any more.
MEMORY_LIMIT = 512 * MEBIBYTE
BASELINE_SECONDS = 1.0


@dataclass(frozen=True)
class Row:
    name: str
    attackers: tuple  # of (program, arguments): each a process of its own
    seconds: float = 4
    rehearsal_seconds: float = 3
    changes: dict = field(default_factory=dict)  # of the configuration
    n_files: int = None  # the limit of open files
    least: int = 1  # connections that the attack must have made
    must: tuple = ()  # ends that some of them must have met
    never: tuple = ()  # and that none may
    closed: tuple = ()  # reasons of kube_introspect_connections_closed_total, of which at least one must have risen
    most_cpu: float = None  # seconds of CPU for each second
    lives: bool = True  # /livez is answered throughout
    # Whoever begins handshakes is told from a caller only when they are over: where hundreds wait for the server's part at a time,
    # a new connection waits for its turn among them. Those that are kept do not.
    new_in_time: bool = True
    quick: bool = False  # in the cut of CI


@dataclass
class Result:
    """What was measured, and what did not hold."""
    row: Row
    calm: dict = None  # the good client's report before the attack
    calm_after: dict = None  # and after it
    good: dict = None  # and of the attack, with what came after it
    connections: int = 0
    n_bytes: int = 0
    ends: dict = field(default_factory=dict)
    closed: dict = field(default_factory=dict)
    encores: int = 0  # how often the attack came again because memory was not back
    memory_first: int = 0
    memory_before: int = 0  # of the last time
    memory_peak: int = 0
    memory_after: int = 0
    descriptors: tuple = (0, 0)
    cpu: float = 0
    faults: list = field(default_factory=list)
    is_timing_only: bool = False  # nothing but a time did not hold
    is_busy: bool = False  # times are not judged

    @property
    def holds(self):
        return not self.faults

    def n_failures(self):
        return sum(self.good[series]["failures"] for series in ("kept", "new"))

    def ended_by(self):
        words = [f"{reason} {n:,}" for reason, n in sorted(self.closed.items()) if n]
        most = sorted(self.ends.items(), key=lambda item: -item[1])
        return ", ".join(words + [f"{word} {n:,}" for word, n in most[:4]])


def assault(bed, row, seconds):
    """All attackers at once; gives connections, bytes and ends."""
    begun = []
    try:
        for program, arguments in row.attackers:
            begun.append(bed.start_attacker(program, {"seconds": seconds, **arguments}))
        reports = [wait_for_report() for _, wait_for_report in begun]
    finally:
        for process, _ in begun:
            if process.poll() is None:
                process.kill()
    ends = collections.Counter()
    for report in reports:
        ends.update(report["ends"])
    return sum(report["connections"] for report in reports), sum(report["bytes"] for report in reports), ends


def settled(condition, seconds):
    """Whether it came to hold in time."""
    try:
        wait.until(condition, "", seconds=seconds, interval=0.05)
    except AssertionError:
        return False
    return True


def wait_closed(bed, n_before):
    """Until all connections of the attack are gone, or the process is."""
    settled(lambda: not bed.is_alive() or bed.n_descriptors() <= n_before, 20)


def rehearse(bed, row, n_before):
    """Until a rehearsal adds next to nothing to what malloc keeps. Where each adds the same, as a leak does, that is never so."""
    memory = bed.memory()
    for _ in range(MOST_REHEARSALS):
        assault(bed, row, row.rehearsal_seconds)
        wait_closed(bed, n_before)
        settled(bed.is_live, 20)
        before, memory = memory, bed.memory()
        if memory <= before * ENOUGH_RATIO:
            break


def calm_report(bed):
    """The good client without an attack."""
    bed.good.report()
    time.sleep(BASELINE_SECONDS)
    return bed.good.report()


def carry_out(row, folder, certificates):
    """Rehearsals, and then the attack that counts."""
    with Bed(folder, certificates, row.changes, row.n_files) as bed:
        result = Result(row)
        time.sleep(0.3)
        n_before = bed.n_descriptors()
        if row.attackers:
            rehearse(bed, row, n_before)
        result.calm = calm_report(bed)
        result.memory_first = result.memory_before = bed.memory()
        closed_before, cpu_before = bed.closed(), bed.cpu_seconds()
        bed.forget_peak()
        began = time.monotonic()
        if row.attackers:
            result.connections, result.n_bytes, result.ends = assault(bed, row, row.seconds)
        else:
            time.sleep(row.seconds)
        if bed.is_alive():
            result.cpu = (bed.cpu_seconds() - cpu_before) / (time.monotonic() - began)
            measure_after(bed, row, result, n_before, closed_before)
        result.good = bed.good.report()
        result.calm_after = calm_report(bed)
        judge(bed, row, result, n_before)
    return result


def measure_after(bed, row, result, n_before, closed_before):
    wait_closed(bed, n_before)
    if not settled(lambda: bed.is_live() or not bed.is_alive(), 20):
        result.faults.append("/livez does not answer after it")
        return
    result.closed = {reason: n - closed_before.get(reason, 0) for reason, n in bed.closed().items()}
    read_memory_after(bed, result)
    while bed.is_alive() and not is_back(result, result.memory_after) and result.encores < MOST_ENCORES:
        result.encores += 1
        result.memory_before = result.memory_after
        result.ends = collections.Counter(result.ends) + assault(bed, row, row.seconds)[2]
        wait_closed(bed, n_before)
        if bed.is_alive():
            read_memory_after(bed, result)
    if not bed.is_alive():
        return
    result.memory_peak = bed.peak()
    wait_closed(bed, n_before)  # the good client's own may be open just now
    result.descriptors = (n_before, bed.n_descriptors())


def read_memory_after(bed, result):
    """When it is back, or ten seconds later."""
    settled(lambda: is_back(result, bed.memory()), 10)
    result.memory_after = bed.memory()


def is_back(result, memory):
    """Each time may add 5 % of what it was before the first one: of the time before, a leak would hide in its own growth."""
    return memory - result.memory_before <= (MEMORY_RATIO - 1) * result.memory_first


def judge(bed, row, result, n_before):
    faults = result.faults
    if not bed.is_alive():
        faults.append(f"the process ended with {bed.webhook.process.returncode}")
        return
    faults += [f"{result.ends[word]} met '{word}'" for word in row.never if result.ends.get(word)]
    if row.closed and not any(result.closed.get(reason) for reason in row.closed):
        faults.append(f"no connection was closed for {' or '.join(row.closed)}")
    if result.descriptors[1] > n_before:
        faults.append(f"{result.descriptors[1]} descriptors, {n_before} before")
    if not is_back(result, result.memory_after):
        faults.append(f"memory {result.memory_after / result.memory_before - 1:+.0%}")
    if result.memory_peak > MEMORY_LIMIT:
        faults.append(f"{result.memory_peak // MEBIBYTE} MiB, the container has {MEMORY_LIMIT // MEBIBYTE}")
    if row.most_cpu and result.cpu > row.most_cpu:
        faults.append(f"{result.cpu:.2f} of a core, {row.most_cpu} at most")
    for series in ("kept", "new"):
        judge_failures(result, series)
    found = bed.search()
    if found.returncode != 0:
        faults.append(f"a token is in what was written: {found.stdout[:300]}{found.stderr[:300]}")
    others = len(faults)
    judge_moments(row, result)
    judge_times(row, result)
    result.is_timing_only = others == 0 and len(faults) > 0


def judge_failures(result, series):
    good = result.good[series]
    if good["failures"]:
        result.faults.append(f"{good['failures']} of {good['n']} of the good client's ({series}) failed: {good['first_failure']}")


def judge_moments(row, result):
    """What a machine that stands still for two seconds makes fail: an attack of two seconds, and a loop that has to turn."""
    if result.connections < row.least * bool(row.attackers):
        result.faults.append(f"the attack made {result.connections} connections, not {row.least}")
    result.faults += [f"nobody met '{word}'" for word in row.must if not result.ends.get(word)]
    if row.lives:
        judge_failures(result, "live")


def judge_times(row, result):
    judged = ("kept",) + ("new",) * row.new_in_time
    result.is_busy = any(calm[series]["p99_ms"] >= QUIET_P99_MS for calm in (result.calm, result.calm_after) for series in judged)
    for series in judged:
        p99 = result.good[series]["p99_ms"]
        if p99 >= P99_MS and not result.is_busy:
            result.faults.append(f"p99 of {series} connections {p99:.0f} ms ({result.calm[series]['p99_ms']:.1f} ms without)")
