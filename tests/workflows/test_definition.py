import pytest

from apps.core.clock import parse_duration
from apps.workflows import definition, reading
from apps.workflows.definition import DefinitionError
from tests.factories.workflows import make_definition

GOOD = {"wait": "1 hour"}
KEYED = {"property": "cart_id", "is": {"var": "entry_key"}}


def nested(depth):
    steps = [{"send": "a"}]
    for _ in range(depth):
        steps = [{"if": {"did": "A"}, "then": steps}]
    return steps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "A b"}, "key: “A b” must have only a-z"),
        ({"name": ""}, "name: must be text."),
        ({"name": "n" * 121}, "name: must have at most 120"),
        ({"color": "red"}, "color: unknown; here may stand key, name"),
        ({"trigger": {}}, "trigger.event: is missing."),
        ({"trigger": []}, "trigger: must name at least one event."),
        ({"trigger": [{"event": "A"}, "B"]}, "trigger[1]: must be like {event: Product Added}."),
        ({"trigger": {"event": "A", "if": 1}}, "trigger.if: unknown; here may stand event, where"),
        ({"trigger_window": "soon"}, "trigger_window: 'soon' is not a duration"),
        ({"trigger_window": "900 days"}, "trigger_window: may be a year at most."),
        ({"entry_key": "basket"}, "entry_key: “basket” is unknown; use cart, or properties."),
        ({"re_entry": "sometimes"}, "re_entry: “sometimes” is unknown; use always"),
        ({"re_entry": 3}, "re_entry: must be always, never or once_per_key."),
        ({"re_entry": {"again": "never", "after": "1 day"}}, "re_entry.after: can't stand beside"),
        ({"exit_when": {"dad": "A"}}, "exit_when"),
        ({"steps": []}, "steps: must have at least one step."),
        ({"steps": {"wait": "1 hour"}}, "steps: must be a list of steps"),
        ({"steps": [{"sned": "a"}]}, "steps[0]: “sned” is not a step; start it with one of wait,"),
        ({"steps": [{"wait": "1 hour", "send": "a"}]}, "steps[0]: “wait, send” is not a step"),
        ({"steps": [GOOD, {"wait": 5}]}, "steps[1].wait: 5 is not a duration"),
        ({"steps": [{"wait": "1 hour", "until": 1}]}, "steps[0].until: unknown; here may stand id"),
        (
            {"steps": [{"wait": "1 hour", "restart_on_trigger": "yes"}]},
            "steps[0].restart_on_trigger: must be true or false.",
        ),
        ({"steps": [{"send": "A B"}]}, "steps[0].send: “A B” must have only a-z"),
        (
            {"steps": [{"send": "a", "id": "x"}, {"send": "b", "id": "x"}]},
            "steps[1].id: “x” is used twice; rename one.",
        ),
        ({"steps": [{"if": {"did": "A"}}]}, "steps[0]: needs steps under then: or else:."),
        ({"steps": [{"if": "A", "then": [GOOD]}]}, "steps[0].if"),
        (
            {"trigger": {"event": "A", "where": [KEYED]}},
            "trigger: where[0].is: {var: entry_key} can't be used here; only conditions",
        ),
        (
            {"steps": [{"if": {"did": "A"}, "then": [{"wait": "x"}]}]},
            "steps[0].then[0].wait: 'x' is not a duration",
        ),
        (
            {"steps": [{"wait_until": {"event": "A"}}]},
            "steps[0].at_most: is missing; say how long to wait at most.",
        ),
        (
            {"steps": [{"wait_until": {}, "at_most": "1 day"}]},
            "steps[0].wait_until: must have either event: or condition:.",
        ),
        (
            {"steps": [{"wait_until": {"condition": {"did": "A"}, "same_key": True}}]},
            "steps[0].wait_until.same_key: unknown; here may stand condition.",
        ),
        ({"steps": nested(10)}, "is nested deeper than 10 levels."),
        ({"steps": [GOOD] * 201}, "steps[200]: a workflow may have 200 steps at most."),
    ],
)
def test_parse_names_the_place_and_the_fix(changes, message):
    with pytest.raises(DefinitionError) as problem:
        reading.parse(make_definition(**changes))

    assert message in str(problem.value)


@pytest.mark.parametrize("name", ["key", "name", "trigger", "steps"])
def test_parse_requires_the_head(name):
    data = make_definition()
    del data[name]

    with pytest.raises(DefinitionError, match=f"^{name}: "):
        reading.parse(data)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("key: [", "line 1: not valid YAML"),
        ("a: 1\nb: {", "line 2: not valid YAML"),
        ("- a\n- b", "Write a mapping"),
        ("", "Write a mapping"),
        ("a: &x [1]\nb: *x", "References (*name) are not possible"),
        ("a: !!python/object:os.system {}", "not valid YAML"),
        ("[" * 5000 + "]" * 5000, "This can't be read as YAML."),
        ("a" * 100_001, "longer than 100,000 characters"),
        ("\x00", "This can't be read as YAML."),
        ("{1: [2], ? [1] : 2}", "not valid YAML"),
    ],
)
def test_load_refuses_with_a_sentence(source, message):
    with pytest.raises(DefinitionError) as problem:
        reading.load(source)

    assert message in str(problem.value)


def test_load_reads_dates_as_they_are_stored():
    data = reading.load("exit_when: {did: A, between: [2026-01-01, 2026-01-31]}")

    assert data == {"exit_when": {"did": "A", "between": ["2026-01-01", "2026-01-31"]}}


def test_derived_ids_are_stable_and_keep_clear_of_given_ones():
    steps = [
        {"send": "hello"},
        {"send": "hello"},
        {"send": "other", "id": "send-hello-2"},
        {"wait": "1 hour"},
        {"if": {"did": "A"}, "then": [{"wait": "1 hour"}], "else": [{"exit": "Not for them!"}]},
        {"wait_until": {"event": "Email Clicked"}, "at_most": "1 day"},
    ]

    tree = reading.parse(make_definition(steps=steps))

    assert [step.id for step in tree.walk()] == [
        "send-hello",
        "send-hello-3",
        "send-hello-2",
        "wait-1-hour",
        "if",
        "wait-1-hour-2",
        "exit-not-for-them",
        "wait-until-email-clicked",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 day", "1 day"),
        ("48 hours", "2 days"),
        ("90 minutes", "90 minutes"),
        ("61 seconds", "61 seconds"),
        ("1 second", "1 second"),
    ],
)
def test_in_words_writes_durations_as_people_do(text, words):
    assert definition.in_words(parse_duration(text)) == words
