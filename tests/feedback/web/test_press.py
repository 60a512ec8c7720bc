"""One press is one vote, on a pair that was on screen when it began: clicks, taps and keys before a real browser."""

import pytest

from .conftest import served, task
from .test_chat import FakeTalker, votes
from .test_chat_browser import open_chat, say, wait_for  # noqa: F401  # a fixture

pytestmark = pytest.mark.slow


@pytest.fixture
def ann(make_site, read):
    """`ann(tasks=8, strength=True)`: a person on the page, whose answers are `reader.answers()`."""
    serving = []

    def start(tasks=8, name="ann", **options):
        config = {key: options.pop(key) for key in ("strength", "overlap") if key in options}
        site = make_site([task(i) for i in range(tasks)], **config)
        serving.append(served(site))
        reader = read(serving[-1].__enter__(), site.tokens[name], **options)
        reader.listened()
        reader.site, reader.answers = site, site.answers
        return reader

    yield start
    for server in serving:
        server.__exit__(None, None, None)


def send(reader, script, argument=None):
    """Run a script in which `key`, `down`, `up` and `click` make the events of a press, all within one moment."""
    events = """
        const on = (target) => typeof target === 'string' ? document.querySelector(target) : target;
        const key = (name, more) => (document.activeElement ?? document.body).dispatchEvent(
            new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true, ...more }));
        const up = (name) => document.body.dispatchEvent(new KeyboardEvent('keyup', { key: name, bubbles: true }));
        const down = (target) => on(target).dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }));
        const click = (target, detail) => on(target).dispatchEvent(
            new MouseEvent('click', { detail, bubbles: true, cancelable: true }));
        const tap = (target) => { down(target); click(target, 1); };
    """
    return reader.page.evaluate(f"(argument) => {{ {events} {script} }}", argument)


def num_saved(reader):
    """How many answers there are when all is saved."""
    reader.settle()
    return len(reader.answers())


def test_a_double_click_is_one_vote(ann):
    reader = ann()
    reader.page.dblclick("[data-action=left]")
    assert num_saved(reader) == 1
    reader.listened()
    send(reader, "click('[data-action=left]', 2); click('[data-action=left]', 3)")  # however slow the second one comes
    assert num_saved(reader) == 1


def test_a_double_tap_is_one_vote(ann):
    reader = ann(has_touch=True, viewport={"width": 390, "height": 844})
    send(reader, "tap('[data-action=right]'); tap('[data-action=right]'); tap('[data-action=tie]')")
    assert num_saved(reader) == 1


def test_a_held_enter_is_one_vote(ann):
    reader = ann()
    reader.page.focus("[data-action=left]")
    for _ in range(4):
        reader.page.keyboard.down("Enter")
        reader.listened()
    reader.page.keyboard.up("Enter")
    assert num_saved(reader) == 1


def test_a_held_enter_is_one_vote_where_the_browser_does_not_say_that_it_repeats(ann):
    reader = ann()
    press = "document.querySelector('[data-action=left]').focus(); key('Enter'); click('[data-action=left]', 0);"
    send(reader, press + "click('[data-action=left]', 0); click('[data-action=left]', 0);")
    assert num_saved(reader) == 1
    reader.listened()
    send(reader, "click('[data-action=left]', 0)")  # the key is still down
    assert num_saved(reader) == 1


def test_a_held_space_is_one_vote(ann):
    reader = ann()
    reader.page.focus("[data-action=tie]")
    for _ in range(4):
        reader.page.keyboard.down("Space")
    reader.page.keyboard.up("Space")
    assert num_saved(reader) == 1


def test_a_key_that_is_held_while_the_network_is_slow_says_nothing_about_the_next_pair(ann):
    reader = ann()
    reader.page.keyboard.down("1")
    reader.page.wait_for_function("() => document.body.dataset.queue === '0'")
    for _ in range(5):
        reader.listened()
        reader.page.keyboard.down("1")
    reader.page.keyboard.up("1")
    assert num_saved(reader) == 1


def test_two_keys_in_one_moment_are_one_vote(ann):
    reader = ann()
    send(reader, "key('1'); key('2'); key('x')")
    assert num_saved(reader) == 1
    assert [outcome in ("a", "b") for _, _, outcome, _ in reader.answers()] == [True]


def test_a_finger_that_was_down_before_the_pair_came_says_nothing_about_it(ann):
    reader = ann()
    send(reader, "down('[data-action=left]')")
    reader.page.keyboard.press("2")
    assert num_saved(reader) == 1
    reader.listened()
    send(reader, "click('[data-action=left]', 1)")
    assert num_saved(reader) == 1
    send(reader, "down('[data-action=left]')")
    reader.page.evaluate("import('/static/press.js').then(({ shownAnew }) => shownAnew())")  # another pair has come
    reader.listened()
    send(reader, "click('[data-action=left]', 1)")
    assert num_saved(reader) == 1
    send(reader, "tap('[data-action=left]')")
    reader.page.wait_for_function("() => document.body.dataset.queue === '0'")
    assert num_saved(reader) == 2


def test_undo_pressed_twice_takes_back_one_answer(ann):
    reader = ann()
    reader.answer("1")
    reader.answer("1")
    assert num_saved(reader) == 2
    reader.listened()
    send(reader, "key('u'); key('u'); tap('[data-action=undo]')")
    assert num_saved(reader) == 1


def test_the_click_of_a_reading_aid_counts_each_time(ann):
    """It comes alone: no pointer and no key is down."""
    reader = ann()
    send(reader, "down('body')")  # a touch long ago, without a click
    for num in (1, 2):
        reader.listened()
        send(reader, "click('[data-action=left]', 0)")
        assert num_saved(reader) == num


def test_a_double_tap_answers_no_question_about_strength_and_two_keys_do(ann):
    reader = ann(strength=True)
    for twice in ("tap('[data-action=left]'); tap('[data-strength=\"1\"]')", "key('1'); key('1')"):
        send(reader, twice)
        assert reader.page.is_visible("text=How much better?")
        assert num_saved(reader) == 0
        reader.press("Escape")
        reader.listened()
    send(reader, "key('1'); key('4')")
    assert num_saved(reader) == 1
    assert [vote.strength for vote in reader.site.store.comparisons()] == [4]


def test_a_pair_is_deaf_until_it_has_been_painted(ann):
    """A press that waited while the page was busy drawing was made before anybody could see the pair."""
    reader = ann()
    send(reader, "key('1'); const from = performance.now(); while (performance.now() < from + 400); key('2')")
    assert num_saved(reader) == 1


# the other pages


def test_in_the_chat_a_double_tap_or_a_held_key_is_one_choice_and_stops_nothing(site, open_chat):  # noqa: F811
    reader = open_chat(FakeTalker(), share=1.0)
    reader.page.fill("#message", "one")
    send(reader, "tap('#send'); tap('#stop'); click('#stop', 2)")
    wait_for(reader, "choosing")
    reader.listened()
    send(reader, "tap('#choosing [data-action=both_bad]')")
    wait_for(reader, "picking")
    send(reader, "tap('#picking [data-action=raw]'); click('#picking [data-action=right]', 2); key('1')")
    reader.listened()
    send(reader, "click('#picking [data-action=right]', 2); key('1', { repeat: true }); key('r', { repeat: true })")
    assert reader.view == "picking"
    assert [vote.outcome for vote in votes(site)] == ["both_bad"]
    reader.press("1")
    wait_for(reader, "idle")


def test_in_the_chat_a_held_enter_sends_once_where_the_model_fails(open_chat):  # noqa: F811
    talker = FakeTalker(("this fails",), problem=RuntimeError("secret"))
    reader = open_chat(talker, share=0.0)
    sent = []
    reader.page.on("request", lambda request: sent.append(request.url) if "replies" in request.url else None)
    reader.page.fill("#message", "my words")
    reader.page.keyboard.down("Enter")
    for _ in range(3):
        reader.until("document.getElementById('message').value === 'my words'")
        reader.page.keyboard.down("Enter")
    reader.page.keyboard.up("Enter")
    assert len(sent) == 1


def test_a_verdict_that_is_clicked_twice_or_held_is_given_once(make_site, read):
    site = make_site([task(0)], overlap=2)
    site.invite("ben")
    site.answer_all("ann", ["first"])
    site.answer_all("ben", ["tie"])
    with served(site) as base:
        reader = read(base, site.tokens["boss"])
        reader.page.goto(f"{base}/admin/adjudicate")
        sent = []
        reader.page.on("request", lambda request: sent.append(request.url) if "adjudications" in request.url else None)
        reader.page.dblclick("[data-outcome=left]")
        reader.page.wait_for_selector("text=Saved")
        for _ in range(3):
            reader.page.keyboard.down("Enter")
            reader.page.wait_for_selector("[data-outcome=left]:not(:disabled):focus")
        reader.page.keyboard.up("Enter")
        assert len(sent) == 2


def test_an_invitation_that_is_clicked_twice_is_one_link(site, read):
    """A second one would end the first, which may be the one that is shown."""
    with served(site) as base:
        reader = read(base, site.tokens["boss"])
        reader.page.goto(f"{base}/admin")
        sent = []
        reader.page.on("request", lambda request: sent.append(request.url) if "invitations" in request.url else None)
        reader.page.dblclick("[data-invite=ann]")
        reader.page.wait_for_selector("#link-box:not([hidden])")
        reader.page.fill("input[name=name]", "Zoe")
        reader.page.dblclick("#invite button")
        reader.page.wait_for_function("() => document.querySelector('#link-label').textContent.includes('Zoe')")
        assert len(sent) == 2
