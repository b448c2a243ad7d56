from hypothesis import given
from hypothesis import strategies as st

from apps.workflows import compiler, reading
from tests.factories.workflows import make_definition


def compiled(steps):
    return compiler.compile_program(reading.parse(make_definition(steps=steps)))


def test_a_fork_lays_both_ways_one_after_the_other():
    program = compiled(
        [
            {"wait": "1 hour", "restart_on_trigger": True},
            {"if": {"did": "A"}, "then": [{"send": "a"}], "else": [{"exit": "enough"}]},
            {"wait_until": {"event": "B", "same_key": True}, "at_most": "2 days"},
        ]
    )

    assert program == [
        {"op": "wait", "id": "wait-1-hour", "seconds": 3600, "restart": True},
        {"op": "branch", "id": "if", "then": 2, "otherwise": 4},
        {"op": "send", "id": "send-a", "template": "a"},
        {"op": "jump", "id": "", "to": 5},
        {"op": "exit", "id": "exit-enough", "reason": "enough"},
        {
            "op": "wait_until",
            "id": "wait-until-b",
            "seconds": 172800,
            "event": "B",
            "same_key": True,
            "then": 6,
            "otherwise": 7,
        },
        {"op": "jump", "id": "", "to": 7},
        {"op": "end", "id": ""},
    ]


LEAVES = st.sampled_from(
    [
        {"wait": "1 hour"},
        {"send": "hello"},
        {"exit": "enough"},
        {"wait_until": {"event": "A"}, "at_most": "1 day"},
    ]
)


def forks(steps):
    ways = st.lists(steps, min_size=1, max_size=3)
    return st.builds(lambda a, b: {"if": {"did": "A"}, "then": a, "else": b}, ways, ways)


@given(st.lists(st.recursive(LEAVES, forks, max_leaves=12), min_size=1, max_size=4))
def test_every_target_leads_forward_and_every_path_ends(steps):
    program = compiled(steps)

    for pc, step in enumerate(program):
        targets = [step[name] for name in ("then", "otherwise", "to") if name in step]
        following = [] if step["op"] in ("exit", "end", "jump", "branch") else [pc + 1]
        assert all(pc < target < len(program) for target in targets + following)
    assert [step["op"] for step in program].count("end") == 1
    assert program[-1]["op"] == "end"
    names = [step["id"] for step in program if step["id"]]
    assert len(names) == len(set(names))
