"""Two libraries draw one chart: seconds to import and to draw, memory, and what they take on disk.

    python benchmarks/charts.py [--quick] [--with DIR]

Matplotlib draws the charts of files, Altair those of the page. Each draws the same bars of one
question for 23 groups to PNG, in a process of its own: once, and again (``--quick``: once). Altair
needs vl-convert for that, which is not among the dependencies; ``--with DIR`` says where it lies
(``pip install --target DIR vl-convert-python``). Disk: the files of the distributions that only
this library brings. The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import time
from importlib import metadata, util
from pathlib import Path
from typing import Any

DISTRIBUTIONS = {
    "matplotlib": ("matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "pillow"),
    "altair": ("altair", "narwhals", "vl-convert-python"),
}
"""What each brings that the program without charts does not have (the page's Streamlit brings
Altair itself)."""


def table() -> tuple[Any, Any]:
    """A made-up question of five options for 23 groups, and its predictions."""
    import numpy as np

    from opinioncast.survey import PredictionTable, Question, load_groups

    options = ("Strongly favor", "Somewhat favor", "Neither", "Somewhat oppose", "Strongly oppose")
    question = Question("q", "Do you favor or oppose a limit on rents?", options, (1, 2, 3, 4, 5))
    rng = np.random.default_rng(0)
    rows = []
    for group in load_groups("total", "paper22"):
        attribute, name = group.key
        shares = rng.dirichlet(np.full(5, 6.0)).tolist()
        rows.append(
            {
                "question_id": "q",
                "question": question.text,
                "options": list(options),
                "ordinal": list(question.ordinal),
                "attribute": attribute,
                "group": name,
                "distribution": shares,
                "low": [s / 2 for s in shares],
                "high": [min(1.0, s * 1.5) for s in shares],
            }
        )
    return question, PredictionTable.from_rows(rows)


def with_matplotlib(question: Any, predictions: Any) -> bytes:
    """The chart of files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from opinioncast.report.chart import distribution_chart

    figure = distribution_chart(predictions, [question])
    drawn = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(drawn, format="png", dpi=110)
    return drawn.getvalue()


def with_altair(question: Any, predictions: Any) -> bytes:
    """The chart of the page; as PNG where vl-convert is there, else as the JSON a browser draws."""
    from opinioncast.app.charts import stacked_chart
    from opinioncast.report.answer_bars import long_rows

    chart = stacked_chart(question, long_rows(predictions.frame)).properties(width=700)
    if util.find_spec("vl_convert") is None:
        return chart.to_json().encode()
    drawn = io.BytesIO()
    chart.save(drawn, format="png")
    return drawn.getvalue()


def disk(library: str, folder: Path | None) -> float:
    """Megabytes of its distributions' files."""
    size = 0
    for name in DISTRIBUTIONS[library]:
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            continue
        size += sum(p.stat().st_size for f in files if (p := Path(str(f.locate()))).is_file())
    if folder is not None and library == "altair" and util.find_spec("vl_convert") is not None:
        inside = [p for p in folder.rglob("*") if p.is_file()]
        size += 0 if _counted("vl-convert-python") else sum(p.stat().st_size for p in inside)
    return size / 1e6


def _counted(name: str) -> bool:
    try:
        return bool(metadata.files(name))
    except metadata.PackageNotFoundError:
        return False


def measured(library: str, times: int, folder: Path | None) -> dict[str, Any]:
    """Of this process: the library is imported and draws."""
    question, predictions = table()
    draw = with_matplotlib if library == "matplotlib" else with_altair
    started = time.perf_counter()
    __import__("matplotlib.figure" if library == "matplotlib" else "altair")
    imported = time.perf_counter() - started
    seconds = []
    content = b""
    for _ in range(times):
        started = time.perf_counter()
        content = draw(question, predictions)
        seconds.append(round(time.perf_counter() - started, 2))
    return {
        "import": round(imported, 2),
        "draw": seconds,
        "kind": "png" if content.startswith(b"\x89PNG") else "json, drawn by the browser",
        "kb": round(len(content) / 1000),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "disk_mb": round(disk(library, folder), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="draw once")
    parser.add_argument("--with", dest="folder", type=Path, help="where vl-convert lies")
    parser.add_argument("--one", choices=list(DISTRIBUTIONS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    times = 1 if options.quick else 3
    if options.one:
        print(json.dumps(measured(options.one, times, options.folder)))
        return
    figures: dict[str, Any] = {}
    for library in DISTRIBUTIONS:
        places = [str(options.folder)] if options.folder else []
        paths = os.pathsep.join([*places, *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, __file__, "--one", library, *(["--quick"] * options.quick)]
        command += ["--with", str(options.folder)] if options.folder else []
        ran = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        figures[library] = json.loads(ran.stdout.splitlines()[-1])
        print(library, *(f"{k} {v}" for k, v in figures[library].items()), sep="\n  ")
    print(json.dumps({"benchmark": "charts", "quick": options.quick, **figures}))


if __name__ == "__main__":
    main()
