"""Who is answered by the live explorer, and what is said of bad input."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest

from commensal import explore, sweep
from commensal.explore._panels import TABS, tab_panel
from commensal.explore._runs import read_run, run_part
from commensal.explore._server import Server
from commensal.explore._theory import theory_of
from tests.commands import run
from tests.explore.serving import serving
from tests.explore.small_run import NASTY, small_run


def get(server: Server, path: str, host: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_only_this_machine_is_answered() -> None:
    with serving(explore.live_server(page="<p>here")) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert server.token == ""
        assert get(server, "/") == (200, b"<p>here")
        status, said = get(server, "/", host="elsewhere.example")
        assert (status, json.loads(said)["error"]) == (403, "only this machine is answered")
        assert get(server, "/nowhere")[0] == 404


def test_another_host_asks_for_the_token() -> None:
    with serving(explore.live_server("0.0.0.0", page="<p>here")) as server:
        assert len(server.token) > 20
        assert server.url.endswith(f"/?token={server.token}")
        assert get(server, "/")[0] == 403
        assert get(server, f"/?token={server.token[:-1]}x")[0] == 403
        assert get(server, f"/?token={server.token}", host="elsewhere.example") == (200, b"<p>here")


def test_answers_and_errors_are_one_line() -> None:
    with serving(explore.live_server()) as server:
        status, said = get(server, "/api/ecosystem?tokens=4000")
        assert (status, json.loads(said)["said"][0][:28]) == (200, "The best number of models is")
        for query, told in (
            ("map?models=99", "models is one of"),
            ("map?models=1&reads=blocs:0.1", "two blocs need at least 2 models, got 1"),
            ("gaussian?samples=3", "samples is one of 5, 10"),
        ):
            error = json.loads(get(server, f"/api/{query}")[1])["error"]
            assert told in error
            assert "\n" not in error


@pytest.mark.parametrize(
    "tab", [tab for tab in TABS if tab.name != "gaussian"], ids=lambda t: t.name
)
def test_every_tab_has_a_sentence_and_something_to_see(tab) -> None:
    panel = tab_panel(tab, {})
    assert panel.said[0].endswith(".")
    assert panel.charts or panel.rows
    assert panel.command.startswith("commensal ")
    json.dumps(panel.record(), allow_nan=False)


def test_quantiles_lie_on_their_law() -> None:
    panel = tab_panel(TABS[0], {"samples": "20", "generations": "20"})
    simulated, *laws = panel.charts[0].series
    at = [list(simulated.x).index(t) for t in laws[1].x]
    # 2000 lineages: the standard error of a median of log σ is 1.25 s.d. / √2000, and the s.d. is
    # 0.72 at most here, so 0.02: 5 of them fail once in a million
    for ours, law in ((simulated.low, laws[0]), (simulated.y, laws[1])):
        assert list(ours[at]) == pytest.approx(list(law.y), rel=0.15)


def test_simulated_webs_lie_on_their_law() -> None:
    exact, simulated, _ = tab_panel(TABS[1], {}).charts[0].series
    law = [exact.y[t] for t in simulated.x]
    # 40 webs: a root mean square has a relative standard error of about 0.1, so 0.5 is five
    assert list(simulated.y) == pytest.approx(law, rel=0.5)


def test_a_run_is_read_with_its_theory_and_its_texts(tmp_path, monkeypatch, capsys) -> None:
    losses = small_run(tmp_path / "run")
    with serving(explore.live_server()) as server:
        query = f"path={tmp_path / 'run'}"
        part = json.loads(get(server, f"/api/run?{query}")[1])
        points, measures = (one["values"] for one in part["controls"])
        assert measures[-1] == "what the theory says of it"
        at = (len(points) - 1) * len(measures)
        lines = {one["name"]: one for one in part["panels"][at]["charts"][0]["series"]}
        told = lines["model 1 on task1: theory, of a fit without this grid point"]["y"]
        expected = losses[(losses["model"] == 0) & (losses["dataset"] == "task1")]
        assert told == pytest.approx(list(expected["finite_held_out"]))
        assert part["panels"][-1]["rows"][1:] == [["Theory <is> ahead."], ["In one."]]
        name = part["texts"][0]["values"][-1]
        texts = json.loads(get(server, f"/api/texts?{query}&generation=2&point={quote(name)}")[1])
        assert texts["rows"][1:] == [
            [str(k + 1), "task1", "prompt 2", f"{NASTY} {k} 2"] for k in (0, 1)
        ]
        for path, told in (
            ("run?path=/nowhere", "'/nowhere' is no folder that this program can see"),
            (f"run?path={tmp_path}", "is not a run"),
            ("texts?path=runs/demo", "the run demo has kept no texts"),
        ):
            assert told in json.loads(get(server, f"/api/{path}")[1])["error"]
        assert not any(one["command"] for one in part["panels"])
        (tmp_path / "run" / "pair").rename(tmp_path / "kept")
        bare = json.loads(get(server, f"/api/run?{query}")[1])["panels"]
        command = f"commensal pair {tmp_path / 'run'}"
        assert [one["command"] for one in bare[: len(measures) - 1]].count(command) == 1
        assert bare[0]["said"][1].endswith("at generation 0.")  # all that this point has
        assert "once this command" in next(one["said"][-1] for one in bare if one["command"])
        (tmp_path / "kept").rename(tmp_path / "run" / "pair")
        monkeypatch.chdir(tmp_path)
        assert json.loads(get(server, "/api/runs")[1]) == {"runs": ["run"]}
    assert NASTY.split()[0] not in explore.run_page("run")
    (tmp_path / "run" / "pair" / "losses.parquet").write_bytes(b"PAR1 and no more")
    code, _, err = run(monkeypatch, capsys, "explore", "run", "--html", "page.html")
    assert code == 2
    assert "losses.parquet' is not a table that can be read" in err


def test_the_laws_of_a_web_stand_beside_its_distances(tmp_path) -> None:
    table = pd.read_parquet("runs/web/metrics.parquet")
    table.to_parquet(tmp_path / "metrics.parquet")
    (tmp_path / "pair").mkdir()
    name = f"β = {table['read_share'].iloc[0]:g}"
    laws = {"point": [name] * 3 + ["β = 0.01"], "generation": [0, 1, 2, 0]}
    laws |= {"mixture": [3.0, 2.0, 1.0, 9.0], "retrieval": [3.0, 2.5, 2.0, 9.0]}
    pd.DataFrame(laws).to_parquet(tmp_path / "pair" / "distances.parquet")
    part = run_part(read_run(tmp_path), "web", theory_of(tmp_path))
    at = part["controls"][1]["values"].index("disagreement between the models")
    lines = {one["name"]: one for one in part["panels"][at]["charts"][0]["series"]}
    assert lines["mixture law, fitted"]["y"] == [3.0, 2.0, 1.0]
    assert lines["retrieval law, fitted"]["y"] == [3.0, 2.5, 2.0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sweeps") / "sweep.nc"
    grid = (0.25, 0.5)
    sweep.regression(alpha=grid, beta=grid, models=(2, 3), dim=6, rank=3, out=path).close()
    return path


def test_a_page_is_written_and_the_next_command_named(
    finished, tmp_path, monkeypatch, capsys
) -> None:
    page = tmp_path / "page.html"
    code, out, err = run(monkeypatch, capsys, "explore", str(finished), "--html", str(page))
    assert (code, out) == (0, f"wrote {page}\n")
    assert err.splitlines()[-1] == "next: commensal explore"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_page_of_a_run(tmp_path, monkeypatch, capsys) -> None:
    page = tmp_path / "run.html"
    code, _, _ = run(monkeypatch, capsys, "explore", "runs/demo", "--html", str(page))
    assert code == 0
    text = page.read_text(encoding="utf-8")
    assert "The run demo" in text
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    (part,) = data["parts"]
    points, measures = part["controls"]
    assert len(part["panels"]) == len(points["values"]) * len(measures["values"])
    table = pd.read_parquet("runs/demo/metrics.parquet")
    row = table[(table.alpha == 0) & (table.beta == 0) & (table.metric == "loss")]
    row = row[(row.model == 0) & (row.dataset == "task1") & (row.generation == 3)]
    lines = {line["name"]: line for line in part["panels"][0]["charts"][0]["series"]}
    assert lines["model 1 on task1"]["y"][3] == pytest.approx(row["value"].mean())


def bad_inputs(folder: Path, finished: Path) -> Iterator[tuple[list[str], str]]:
    page = str(folder / "page.html")
    text = folder / "text.nc"
    text.write_text("no NetCDF")
    half = folder / "half.nc"
    half.write_bytes(finished.read_bytes()[:3000])
    damaged = folder / "damaged"
    damaged.mkdir()
    (damaged / "metrics.parquet").write_bytes(b"PAR1 and no more")
    empty = folder / "empty"
    empty.mkdir()
    yield [str(folder / "nowhere.nc"), "--html", page], "does not exist"
    yield [str(text), "--html", page], "is not a NetCDF file that can be read"
    yield [str(half), "--html", page], "is not a NetCDF file that can be read"
    yield [str(damaged), "--html", page], "is not a table that can be read"
    yield [str(empty), "--html", page], "is not a run"
    yield [str(finished), str(damaged), "--html", page], "a run has a page of its own"
    yield [str(finished), str(finished), "--html", page], "these in nothing"
    yield [str(finished), "--html", str(folder / "page.txt")], "give a name that ends in .html"
    yield ["runs/demo", "--texts", "--html", page], "the run demo has kept no texts"
    yield [str(finished), "--texts", "--html", page], "--texts goes with the folder of a run"
    yield ["--texts"], "--texts needs the folder of a run"
    yield ["--html", page], "--html needs a sweep or a run"
    yield ["--port", "99999", "--no-browser"], "up to 65535"


def test_bad_input_is_one_clear_line(finished, tmp_path, monkeypatch, capsys) -> None:
    for args, told in bad_inputs(tmp_path, finished):
        code, _, err = run(monkeypatch, capsys, "explore", *args)
        assert code == 2, args
        assert err.count("\n") == 1, err
        assert told in err, err
    assert not (tmp_path / "page.html").exists()


def test_a_simulation_is_no_sweep(tmp_path, monkeypatch, capsys) -> None:
    out = str(tmp_path / "words.nc")
    assert run(monkeypatch, capsys, "simulate", "words", "--out", out)[0] == 0
    code, _, err = run(monkeypatch, capsys, "explore", out, "--html", str(tmp_path / "p.html"))
    assert code == 2
    assert "commensal: " in err.splitlines()[-1]


def test_a_port_in_use_is_named(monkeypatch, capsys) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, _, err = run(monkeypatch, capsys, "explore", "--port", port, "--no-browser")
    assert code == 2
    assert (
        err
        == f"commensal: port {port} is in use: choose another with --port, or any with --port 0\n"
    )


def test_the_address_is_told_and_ctrl_c_ends_it(monkeypatch, capsys) -> None:
    def interrupted(self, poll_interval=0.5):
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    code, out, err = run(monkeypatch, capsys, "explore", "--port", "0", "--no-browser")
    assert code == 0
    assert "http://127.0.0.1:" in out
    assert "from this machine only" in out
    assert err.splitlines()[0] == "commensal: ended"
