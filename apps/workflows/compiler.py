"""From the tree to the program: a flat list of instructions with jump targets.

Every jump leads forward, so a program always ends and each instruction runs at most once per
enrollment. The last instruction is always `end`.
"""

from typing import TypedDict

from apps.workflows.definition import Definition, Exit, If, Send, Step, Wait, WaitUntil


class Instruction(TypedDict, total=False):
    """One step of the machine; `then`, `otherwise` and `to` are positions in the program.

    Conditions stay in the definition, which is kept beside the program; `id` finds them.
    """

    op: str
    id: str
    seconds: int
    restart: bool
    event: str
    same_key: bool
    template: str
    reason: str
    then: int
    otherwise: int
    to: int


Program = list[Instruction]


def compile_program(definition: Definition) -> Program:
    """Flatten the tree; the same definition always gives the same program."""
    program: Program = []
    _emit_all(program, definition.steps)
    program.append({"op": "end", "id": ""})
    return program


def _emit_all(program: Program, steps: list[Step]) -> None:
    for step in steps:
        _emit(program, step)


def _emit(program: Program, step: Step) -> None:
    match step:
        case Wait():
            program.append(
                {
                    "op": "wait",
                    "id": step.id,
                    "seconds": int(step.duration.total_seconds()),
                    "restart": step.restart_on_trigger,
                }
            )
        case Send():
            program.append({"op": "send", "id": step.id, "template": step.template})
        case Exit():
            program.append({"op": "exit", "id": step.id, "reason": step.reason})
        case If():
            _emit_fork(program, {"op": "branch", "id": step.id}, step)
        case WaitUntil():
            _emit_fork(program, _wait_until(step), step)


def _wait_until(step: WaitUntil) -> Instruction:
    head: Instruction = {
        "op": "wait_until",
        "id": step.id,
        "seconds": int(step.at_most.total_seconds()),
    }
    if step.event is not None:
        head["event"] = step.event.event
        head["same_key"] = step.same_key
    return head


def _emit_fork(program: Program, head: Instruction, step: If | WaitUntil) -> None:
    """Lay both ways one after the other; the first jumps over the second."""
    program.append(head)
    head["then"] = len(program)
    _emit_all(program, step.then)
    jump: Instruction = {"op": "jump", "id": ""}
    program.append(jump)
    head["otherwise"] = len(program)
    _emit_all(program, step.otherwise)
    jump["to"] = len(program)
