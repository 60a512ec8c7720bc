"""Who is signed in: their name on every page, a link that asks before it takes their place, and a way out."""

import pytest

from penchant.feedback.web.sessions import cookie_name

from .conftest import HOST, ORIGIN, served

PAGES = ("/", "/admin", "/admin/adjudicate")


def joined(site, name):
    """A client that has opened the link of this person."""
    visitor = site.visitor()
    assert visitor.get(f"/join/{site.tokens[name]}").status_code == 200
    return visitor


def who(visitor):
    """The name on the page, or None at a closed door."""
    page = visitor.get("/")
    return page.text.split('class="name">')[1].split("<")[0] if page.status_code == 200 else None


def post(visitor, path, **headers):
    return visitor.send_json(path, {}, **headers)


@pytest.mark.slow(threads=1)
def test_the_name_stands_on_every_page_as_text(make_site):
    site = make_site()
    site.invite("Zoe <b>", "admin")
    visitor = joined(site, "Zoe <b>")
    for path in PAGES:
        page = visitor.get(path).text
        assert "Zoe &lt;b&gt;" in page
        assert "Sign out" in page


def test_a_link_asks_before_it_takes_the_place_of_another_persons_session(site):
    visitor = joined(site, "ann")
    asked = visitor.get(f"/join/{site.tokens['boss']}")
    assert "ann is signed in here" in asked.text
    assert "set-cookie" not in asked.headers
    assert who(visitor) == "ann"
    assert post(visitor, f"/join/{site.tokens['boss']}", X_CSRF_Token=None).status_code == 200
    assert who(visitor) == "boss"


def test_it_asks_too_where_the_link_was_followed_from_another_site(site):
    """A browser then keeps the session itself back, and sends what may be sent along a link."""
    visitor = joined(site, "ann")
    visitor.cookies.delete(cookie_name(HOST))
    asked = visitor.get(f"/join/{site.tokens['boss']}")
    assert "ann is signed in here" in asked.text
    assert "set-cookie" not in asked.headers


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_question_is_asked_in_both_languages(site, lang):
    visitor = joined(site, "ann")
    page = visitor.get(f"/join/{site.tokens['boss']}", headers={"Accept-Language": lang}).text
    assert "ann" in page
    assert "boss" in page
    assert "{there}" not in page.split("<main")[1]


def test_ones_own_link_and_a_session_that_works_no_more_need_no_question(site):
    visitor = joined(site, "ann")
    site.invite("ann")
    assert who(visitor) is None
    assert "signed in here" not in visitor.get(f"/join/{site.tokens['boss']}").text
    assert who(visitor) == "boss"
    assert "set-cookie" in visitor.get(f"/join/{site.invite('boss', 'admin')}").headers


def test_nobody_elses_page_can_change_who_is_signed_in(site):
    visitor = joined(site, "ann")
    for headers in ({"Origin": "https://elsewhere.example"}, {"Origin": None}, {"Content_Type": "text/plain"}):
        assert post(visitor, f"/join/{site.tokens['boss']}", **headers).status_code in (403, 415)
    assert post(visitor, "/join/none").status_code == 410
    assert post(visitor, "/api/sign-out").status_code == 403, "without the token of the session"
    assert visitor.get("/api/sign-out").status_code == 405
    assert who(visitor) == "ann"


def test_signing_out_forgets_the_session_and_the_link_opens_it_again(site):
    ann = site.visitor("ann")
    visitor = joined(site, "ann")
    visitor.csrf = ann.csrf
    assert post(visitor, "/api/sign-out").status_code == 200
    assert who(visitor) is None
    assert not visitor.cookies
    assert "signed in here" not in visitor.get(f"/join/{site.tokens['boss']}").text
    assert who(visitor) == "boss"
    assert who(ann) == "ann", "in another browser she stays"


def test_the_name_in_the_cookie_opens_nothing(site):
    stranger = site.visitor()
    stranger.cookies.set(f"{cookie_name(HOST)}_name", "boss", domain="127.0.0.1", path="/")
    assert who(stranger) is None
    assert stranger.get("/admin", headers={"Origin": ORIGIN}).status_code == 401


@pytest.mark.slow
def test_in_a_browser_a_mail_that_links_to_another_session_asks_and_signing_out_ends_it(site, read, make_site):
    with served(site) as base, served(elsewhere := make_site()) as other:
        reader = read(base, site.tokens["ann"])
        page = reader.page
        assert reader.text("header .who .name") == "ann"
        address = other.replace("127.0.0.1", "localhost")  # another site
        page.route(f"{address}/mail", lambda route: route.fulfill(
            content_type="text/html", body=f"<a href='{base}/join/{site.tokens['boss']}'>your link</a>"))  # fmt: skip
        page.goto(f"{address}/mail")
        page.click("text=your link")
        page.wait_for_selector("text=ann is signed in here")
        page.click("text=Stay ann")
        reader.wait()
        assert reader.text("header .who .name") == "ann"
        page.goto(f"{address}/mail")
        page.click("text=your link")
        page.wait_for_load_state()
        page.click("#replace")
        page.wait_for_url(f"{base}/")
        reader.wait()
        assert reader.text("header .who .name") == "boss"
        page.focus("header .who summary")
        reader.press("Enter")
        page.click("#sign-out")
        page.wait_for_selector("text=This page opens with a link")
        reader.problems = [p for p in reader.problems if "401" not in p]
        assert elsewhere.answers() == []
