"""measure: times commands in turn, and keeps the figures.

    compare("Pull an image to a file", [
        ours("cache empty", pipeline, before=empty_cache),
        peer("skopeo copy", [["skopeo", ...]]),
        limit("openssl dgst -sha256", [["openssl", ...]])])

A pipeline is a list of commands. Each side runs RUNS times (default 5), after a first time that warms the page cache;
the sides run in turn. compare() prints all sides and adds a row to `rows` for each of ours: its median, that of the
peer, that of the limit, and the ratios. A side `of` a name counts only for our side of that name.
"""
import collections
import os
import statistics
import subprocess
import sys
import time

RUNS = int(os.environ.get("RUNS", "5"))
rows = []

Side = collections.namedtuple("Side", "role name stages before stdin of")


def nothing():
    pass


def side(role):
    def make(name, stages, before=nothing, stdin=None, of=None):
        return Side(role, name, stages, before, stdin, of)
    return make


ours, peer, limit = side("dt"), side("peer"), side("limit")


def run(stages, stdin=None):
    """Runs a pipeline, output to /dev/null; returns seconds, those of processors, and each process' peak MiB."""
    start = time.monotonic()
    procs, source = [], open(stdin or os.devnull)
    for i, stage in enumerate(stages):
        last = i == len(stages) - 1
        out = open(os.devnull, "w") if last else subprocess.PIPE
        procs.append(subprocess.Popen(stage, stdin=source, stdout=out))
        source.close()
        source = procs[-1].stdout
    peaks, busy = [], 0
    for proc, stage in zip(procs, stages):
        _, status, usage = os.wait4(proc.pid, 0)
        proc.returncode = os.waitstatus_to_exitcode(status)
        if proc.returncode != 0:
            raise RuntimeError("%s: status %d" % (" ".join(stage), proc.returncode))
        peaks.append(usage.ru_maxrss / 1024)
        busy += usage.ru_utime + usage.ru_stime
    return time.monotonic() - start, busy, peaks


def figure(name, runs):
    """The figures of some runs: seconds, processor seconds, peak MiB."""
    return {"name": name, "seconds": statistics.median(r[0] for r in runs), "least": min(r[0] for r in runs),
            "most": max(r[0] for r in runs), "processors": statistics.median(r[1] for r in runs),
            "mib": max(max(r[2]) for r in runs)}


def show(figures, measure):
    for f in figures:
        print("  %-44s %7.3f s  (%.3f to %.3f)  %5.2f x  %7.3f s of processors  %6.1f MiB" % (
            f["name"] or "dt", f["seconds"], f["least"], f["most"], f["seconds"] / measure["seconds"], f["processors"],
            f["mib"]), flush=True)


def add_row(what, own, other=None, bound=None):
    rows.append({"what": what, "dt": own, "peer": other, "limit": bound,
                 "peer/dt": other and other["seconds"] / own["seconds"],
                 "dt/limit": bound and own["seconds"] / bound["seconds"]})


def try_run(s):
    """Runs a side. A peer may fail twice: ctr(1) does sometimes when it replaces an image."""
    for left in (2, 1, 0):
        s.before()
        try:
            return run(s.stages, s.stdin)
        except RuntimeError as e:
            if left == 0 or s.role != "peer":
                sys.exit(str(e))


def compare(title, sides):
    """Runs the sides in turn, prints them, with their ratio to the last one, and adds the rows."""
    runs = [[] for _ in sides]
    for i in range(RUNS + 1):
        for s, done in zip(sides, runs):
            result = try_run(s)
            if i > 0:
                done.append(result)
    figures = [figure(s.name, done) for s, done in zip(sides, runs)]
    print("\n%s" % title)
    show(figures, figures[-1])

    def find(role, name):
        """The fastest side of this role for our side of this name: first among those of that name alone."""
        found = [(s.of is None, f["seconds"], i) for i, (s, f) in enumerate(zip(sides, figures))
                 if s.role == role and s.of in (None, name)]
        return figures[min(found)[2]] if found else None

    for s, f in zip(sides, figures):
        if s.role == "dt":
            add_row(title, f, find("peer", s.name), find("limit", s.name))


def seconds(figure_):
    if figure_ is None:
        return ""
    return "%.2f s" % figure_["seconds"] if figure_["seconds"] < 10 else "%.1f s" % figure_["seconds"]


def table(rows):
    """These rows as a table of Markdown."""
    lines = ["| what | dt | peer | peer ÷ dt | limit | dt ÷ limit |", "|---|---|---|---|---|---|"]
    for row in rows:
        other, bound = row["peer"], row["limit"]
        cells = ["%s: %s" % (row["what"], row["dt"]["name"]) if row["dt"]["name"] else row["what"], seconds(row["dt"]),
                 "%s: %s" % (other["name"], seconds(other)) if other else "",
                 "%.2f" % row["peer/dt"] if other else "",
                 "%s: %s" % (bound["name"], seconds(bound)) if bound else "",
                 "%.2f" % row["dt/limit"] if bound else ""]
        lines.append("|%s|" % "|".join(" %s " % cell if cell else " " for cell in cells))
    return "\n".join(lines) + "\n"
