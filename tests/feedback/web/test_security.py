"""What the server refuses, what it never tells, and what every response carries."""

import json

import pytest
from starlette.routing import Mount

from penchant.feedback.web.security import MAX_BODY_BYTES
from penchant.feedback.web.sessions import Owner, cookie_name, csrf_token

from .conftest import HOST, ORIGIN, task

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture
def ann(site):
    return site.visitor("ann")


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "127.0.0.1.elsewhere.example", "elsewhere.example:8765", "127.0.0.1@x", "", "[::1]"]
)
def test_another_host_is_refused_before_anything_else(ann, host):
    for path in ("/", "/api/next", "/static/base.css", "/healthz"):
        response = ann.get(path, headers={"Host": host})
        assert response.status_code == 421
        assert "/join" not in response.text


def test_our_host_is_served_with_any_port_and_letter_case(site):
    visitor = site.visitor("ann", hosts=("localhost", "votes.example.org:8443"))
    for host, status in (
        ("localhost:99", 200),
        ("LOCALHOST", 200),
        ("votes.example.org:8443", 200),
        ("votes.example.org", 421),
    ):
        assert visitor.get("/healthz", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [(ORIGIN, 200), ("http://elsewhere.example", 403), ("null", 403), (None, 403), ("http://127.0.0.1:9", 403)],
)
def test_a_change_must_come_from_our_own_origin(ann, origin, status):
    assert ann.send_json("/api/undo", {"key": "k" * 8}, Origin=origin).status_code == status


def test_a_change_from_another_site_is_refused_by_what_the_browser_says_of_it(ann):
    response = ann.send_json("/api/undo", {"key": "k" * 8}, Sec_Fetch_Site="cross-site")
    assert response.status_code == 403


def test_a_change_needs_the_csrf_token_of_its_own_session(site, ann):
    first = ann.get("/api/next").json()["current"]["id"]
    for token in (None, "", "wrong", csrf_token(site.tokens["boss"])):
        body = {"key": "k" * 8, "assignment_id": first, "outcome": "left", "seconds": 2}
        assert ann.send_json("/api/answers", body, X_CSRF_Token=token).status_code == 403
    assert site.answers() == []
    assert ann.answer(first, "left").status_code == 200


def test_a_change_without_a_session_is_refused(site):
    stranger = site.visitor()
    assert stranger.send_json("/api/undo", {"key": "k" * 8}).status_code == 401
    forged = site.visitor()
    forged.cookies.set(cookie_name(HOST), "made-up-session", domain="127.0.0.1", path="/")
    forged.csrf = csrf_token("made-up-session")
    assert forged.send_json("/api/undo", {"key": "k" * 8}).status_code == 401


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_only_json_is_taken(ann, kind):
    assert ann.send_json("/api/undo", {"key": "k" * 8}, Content_Type=kind).status_code == 415


def test_a_large_body_is_refused_even_where_its_length_is_not_told(ann):
    first = ann.get("/api/next").json()["current"]["id"]
    assert ann.answer(first, "left", comment="x" * MAX_BODY_BYTES).status_code == 413
    headers = {"Origin": ORIGIN, "X-CSRF-Token": ann.csrf, "Content-Type": "application/json"}
    streamed = ann.post("/api/answers", content=iter([b"x" * 40_000] * 3), headers=headers)
    assert streamed.status_code == 413


def test_joining_gives_a_cookie_that_scripts_cannot_read_and_other_sites_cannot_send(site):
    visitor = site.visitor()
    response = visitor.get(f"/join/{site.tokens['ann']}")
    session, name = response.headers.get_list("set-cookie")
    assert site.tokens["ann"] not in name
    parts = {part.strip().lower() for part in session.split(";")}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert "secure" not in parts
    assert visitor.get("/").status_code == 200


def test_two_servers_on_one_machine_do_not_log_each_other_out(site):
    names = set()
    for port in (8765, 8766):
        headers = {"Host": f"127.0.0.1:{port}"}
        response = site.visitor().get(f"/join/{site.tokens['ann']}", headers=headers)
        names.add(response.headers["set-cookie"].partition("=")[0])
    assert len(names) == 2


def test_over_https_the_cookie_is_for_https_alone(site):
    response = site.visitor(secure=True).get(f"/join/{site.tokens['ann']}")
    assert "secure" in {part.strip().lower() for part in response.headers["set-cookie"].split(";")}


def test_a_wrong_token_opens_nothing(site):
    visitor = site.visitor()
    response = visitor.get("/join/wrong")
    assert response.status_code == 410
    assert not visitor.cookies
    assert visitor.get("/").status_code == 401


def test_a_disabled_person_is_out_at_once(site, ann):
    site.store.disable(site.id_of("ann"))
    assert ann.get("/").status_code == 401
    assert ann.get("/api/next").status_code == 401
    assert ann.get(f"/join/{site.tokens['ann']}").status_code == 410


def test_every_response_carries_the_policy_also_where_it_refuses_or_fails(site, monkeypatch):
    ann = site.visitor("ann")
    responses = [ann.get(path) for path in ("/", "/api/next", "/static/base.css", "/nothing", "/admin", "/join/x")]
    responses.append(ann.get("/", headers={"Host": "elsewhere.example"}))
    responses.append(ann.send_json("/api/answers", {"nonsense": 1}))
    monkeypatch.setattr(site.store, "annotators", lambda: 1 / 0)
    failed = ann.get("/healthz")
    assert failed.status_code == 500
    assert "division" not in failed.text
    for response in [*responses, failed]:
        assert response.headers["content-security-policy"] == CSP
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-frame-options"] == "DENY"
    assert all(r.headers["cache-control"] == "no-store" for r in responses if "/static/" not in str(r.url))


@pytest.mark.slow(threads=1)
def test_pages_hold_no_inline_script_and_no_inline_style(site):
    boss = site.visitor("boss")
    for path in ("/", "/admin", "/admin/adjudicate", "/nothing"):
        html = boss.get(path).text
        assert "<style" not in html
        assert " style=" not in html
        assert " onclick=" not in html
        assert html.count("<script") == html.count('<script type="module" src="/static/')


def test_a_token_is_never_logged(site, log_records, monkeypatch):
    visitor = site.visitor()
    monkeypatch.setattr(site.store, "annotator_by_token", lambda token: 1 / 0)
    assert visitor.get(f"/join/{site.tokens['ann']}").status_code == 500
    logged = [record for record in log_records if record.name.startswith("penchant")]
    assert logged
    assert site.tokens["ann"] not in "".join(record.getMessage() for record in logged)


# what an annotator can learn


def every_path(app):
    """(method, path) of every route, its parameters filled in with what there is."""
    fill = {
        "{assignment_id}": "1",
        "{place}": "left",
        "{token}": "x",
        "{to}": "raw",
        "{annotator_id}": "1",
    }
    for route in routes_of(app):
        if isinstance(route, Mount):
            continue
        path = route.path
        for name, value in fill.items():
            path = path.replace(name, value)
        assert "{" not in path, f"the walk does not know how to fill {path}"
        for method in route.methods:
            yield method, path


def routes_of(app):
    """Also those that an included router keeps to itself."""
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        yield from inner.routes if inner is not None else [route]


@pytest.fixture(scope="module")
def watched(make_site):
    """A site with gold, repeats, others' answers and sources, all with names that must not leak."""
    site = make_site([task(i) for i in range(40)], overlap=2, gold_share=0.4, repeat_share=0.5, reasons=["clear"])
    site.store.add_tasks([task(f"known-{i}", outcome="a") for i in range(8)], origin="secret-origin.jsonl", gold=True)
    site.invite("secret-other-person")
    for name in ("secret-other-person", "ann"):
        visitor = site.visitor(name)
        for _ in range(14 if name != "ann" else 36):
            if current := visitor.get("/api/next").json()["current"]:
                comment = "secret-comment" if name != "ann" else ""
                assert visitor.answer(current["id"], "left", comment=comment, reasons=["clear"]).status_code == 200
    kinds = {c.meta["answer"]["kind"] for c in site.store.comparisons() if c.annotator == "ann"}
    assert kinds == {"main", "gold", "repeat"}
    return site


@pytest.mark.slow(threads=1)
def test_no_endpoint_tells_an_annotator_sources_kinds_or_what_others_said(watched):
    ann = watched.visitor("ann")
    paths = sorted(every_path(ann.app), key=lambda found: "sign-out" in found[1])  # after it there is nothing to see
    assert len(paths) > 15
    bodies = {}
    for method, path in paths:
        response = ann.get(path) if method == "GET" else ann.send_json(path, {"key": "k" * 8})
        bodies[method, path] = response.text
    ann = watched.visitor("ann")
    for limit in range(5):
        bodies["history", limit] = ann.get(f"/api/history?limit={10 + limit}").text
    for number in range(1, 60):
        bodies["own", number] = ann.get(f"/api/assignments/{number}").text
        bodies["text", number] = ann.get(f"/api/assignments/{number}/text/right").text
    assert sum("the first answer" in body for body in bodies.values()) > 15, "the walk saw no pairs"
    for where, body in bodies.items():
        for planted in ("secret-", "gold", "repeat", "task-", "uncertainty", "probability", "too_fast", "shown_first"):
            assert planted not in body, f"{planted} in {where}"


@pytest.mark.slow(threads=1)
def test_pairs_look_alike_whatever_their_kind(watched):
    ann = watched.visitor("ann")
    shapes = {json.dumps(sorted(item)) for item in ann.get("/api/history?limit=50").json()}
    assert len(shapes) == 1


@pytest.mark.slow(threads=1)
def test_a_browser_is_not_told_which_side_is_a(watched):
    ann = watched.visitor("ann")
    sent = ann.get("/api/history?limit=50").json()
    assert {item["answer"]["outcome"] for item in sent} == {"left"}
    assert {outcome for _, who, outcome, _ in watched.answers() if who == "ann"} == {"a", "b"}


def test_an_assignment_of_somebody_else_does_not_exist(watched):
    ann = watched.visitor("ann")
    others = watched.visitor("secret-other-person").get("/api/history").json()
    for item in others:
        assert ann.get(f"/api/assignments/{item['id']}").status_code == 404
        assert ann.get(f"/api/assignments/{item['id']}/text/left").status_code == 404
        assert ann.answer(item["id"], "right").status_code == 404


def test_admin_routes_refuse_annotators_and_strangers(site):
    admin_paths = [(m, p) for m, p in every_path(site.app()) if "admin" in p or "adjudicat" in p]
    assert len(admin_paths) >= 8
    for name, status in (("ann", 403), (None, 401)):
        visitor = site.visitor(name)
        for method, path in admin_paths:
            got = visitor.get(path) if method == "GET" else visitor.send_json(path, {"name": "x"})
            assert got.status_code == status, (method, path)
    assert {person.name for person in site.store.annotators()} == {"ann", "boss"}


def test_the_schema_of_the_api_is_not_published(ann):
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert ann.get(path).status_code == 404


def test_the_owners_token_is_not_printed_by_accident():
    assert "s3cret" not in repr(Owner("s3cret", 1))
